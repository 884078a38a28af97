#!/usr/bin/perl
# Bench `sockets`, AnyEvent on the backend that PERL_ANYEVENT_MODEL names. Arguments are `native` for EV's
# own calls instead of AnyEvent's, pairs, active ones, and milliseconds to measure.
use strict;
use warnings;
use AnyEvent;
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

sub seconds { clock_gettime(CLOCK_MONOTONIC) }
sub late { die "a request took an hour" }

my $native = $ARGV[0] eq 'native' && shift;
require EV if $native;
# EV's own timers can be put off; AnyEvent's are made anew.
my $deadline = $native ? sub {
    my ($old) = @_;
    $old ? $old->again : ($old = EV::timer_ns(3600, 3600, \&late))->again;
    return $old;
} : sub { AnyEvent->timer(after => 3600, cb => \&late) };

my ($pairs, $active, $window) = @ARGV;
AnyEvent::detect();
my ($requests, @conns) = (0);
my $begin = seconds();
for my $n (0 .. $pairs - 1) {
    socketpair(my $read, my $write, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
    my $conn = $conns[$n] = {write => $write, timeout => $deadline->()};
    my $request = sub {
        sysread $read, my $octet, 1;
        syswrite $conns[rand $pairs]{write}, $octet;
        $conns[$n]{timeout} = $deadline->($conns[$n]{timeout});
        $requests++;
    };
    $conn->{readable} = $native ? EV::io($read, EV::READ(), $request)
        : AnyEvent->io(fh => $read, poll => 'r', cb => $request);
}
printf "create %.4f\n", (seconds() - $begin) / $pairs * 1e6;
syswrite $conns[rand $pairs]{write}, 'x' for 1 .. $active;
my $done = AnyEvent->condvar;
# Some backends need longer than the window to look at all descriptors once.
my $windows = 0;
my $over = sub { $done->send if $requests || ++$windows == 25 };
my $stop = AnyEvent->timer(after => $window / 1e3, interval => $window / 1e3, cb => $over);
$begin = seconds();
$done->recv;
die "no request in $windows windows of $window ms\n" unless $requests;
printf "request %.4f\n", (seconds() - $begin) / $requests * 1e6;
