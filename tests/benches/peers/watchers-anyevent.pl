#!/usr/bin/perl
# Bench `watchers`: half io watchers of one descriptor, half timers of zero. Arguments are `native`
# for EV's own calls instead of AnyEvent's on the backend that PERL_ANYEVENT_MODEL names, and how many.
use strict;
use warnings;
use AnyEvent;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

sub seconds { clock_gettime(CLOCK_MONOTONIC) }

sub resident {
    open my $statm, '<', '/proc/self/statm' or die $!;
    return (split ' ', <$statm>)[1] * 4096;
}

my $native = $ARGV[0] eq 'native' && shift;
my ($count) = @ARGV;
require EV if $native;
# Glib's cost for each watcher grows with their number: 100,000 take minutes.
exit 0 if AnyEvent::detect() =~ /Glib/ && $count > 16_000;
my $half = int($count / 2);
my ($left, $done, @ios, @timers) = (2 * $half, AnyEvent->condvar);
my $called = sub { $done->send unless --$left };
pipe my $read, my $write or die $!;

my ($bytes, $begin) = (resident(), seconds());
for (1 .. $half) {
    push @ios, $native ? EV::io($write, EV::WRITE(), $called)
        : AnyEvent->io(fh => $write, poll => 'w', cb => $called);
    push @timers, $native ? EV::timer(0, 0, $called) : AnyEvent->timer(after => 0, cb => $called);
}
printf "create %.4f\n", (seconds() - $begin) / (2 * $half) * 1e6;
printf "bytes %.1f\n", (resident() - $bytes) / (2 * $half);
$begin = seconds();
$done->recv;
printf "invoke %.4f\n", (seconds() - $begin) / (2 * $half) * 1e6;
$begin = seconds();
@ios = ();
@timers = ();
printf "destroy %.4f\n", (seconds() - $begin) / (2 * $half) * 1e6;
