#!/usr/bin/perl
# Bench `sockets`, AnyEvent on the backend that PERL_ANYEVENT_MODEL names: arguments are pairs, active
# ones, and milliseconds to measure.
use strict;
use warnings;
use AnyEvent;
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

sub seconds { clock_gettime(CLOCK_MONOTONIC) }
sub deadline { AnyEvent->timer(after => 3600, cb => sub { die "a request took an hour" }) }

my ($pairs, $active, $window) = @ARGV;
AnyEvent::detect();
my ($requests, @conns) = (0);
my $begin = seconds();
for my $n (0 .. $pairs - 1) {
    socketpair(my $read, my $write, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
    my $conn = $conns[$n] = {write => $write, timeout => deadline()};
    $conn->{readable} = AnyEvent->io(
        fh => $read, poll => 'r',
        cb => sub {
            sysread $read, my $octet, 1;
            syswrite $conns[rand $pairs]{write}, $octet;
            $conns[$n]{timeout} = deadline();
            $requests++;
        },
    );
}
printf "create %.4f\n", (seconds() - $begin) / $pairs * 1e6;
syswrite $conns[rand $pairs]{write}, 'x' for 1 .. $active;
my $done = AnyEvent->condvar;
my $stop = AnyEvent->timer(after => $window / 1e3, cb => $done);
$begin = seconds();
$done->recv;
die "no request in $window ms\n" unless $requests;
printf "request %.4f\n", (seconds() - $begin) / $requests * 1e6;
