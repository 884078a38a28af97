# AnyEvent::Fork, as a program that uses it would. Debian: libanyevent-fork-perl, libev-perl.
#
# anyevent-fork.pl new|new_exec APP_MB WINDOW_MS    measures what measure.h does
use strict;
use warnings;
use EV;
use AnyEvent;
use AnyEvent::Fork;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);

use constant { IN_FLIGHT => 16, PAUSE_US => 2000, SAMPLES => 64, LEAST => 3 };

my ($way, $app_mb, $window) = @ARGV;
$window /= 1e3;

# The workers' code; the byte's process needs it loaded, the other uses what Perl has.
my $byte = 'sub byte { syswrite $_[0], "x" }';

sub now { clock_gettime(CLOCK_MONOTONIC) }

# Calls back with the socket's octets when a worker has ended, and gives how long the call took.
sub start {
    my ($work, $first, $end) = @_;
    my $before = now();
    my $process = $way eq "new_exec" ? AnyEvent::Fork->new_exec : AnyEvent::Fork->new;
    $process->eval($byte) if $work eq "byte";
    $process->run($work eq "byte" ? "main::byte" : "CORE::exit", sub {
        my $socket = shift or die "no process: $!";
        my $watcher; $watcher = AE::io $socket, 0, sub {
            if (sysread $socket, my $octet, 1) { $first->() } else { undef $watcher; $end->() }
        };
    });
    return now() - $before;
}

sub finish {
    my ($work, $first) = @_;
    my $end = AE::cv;
    my $held = start($work, $first || sub { }, $end);
    $end->recv;
    return $held;
}

sub print_percentiles {
    my ($metric, @seconds) = @_;
    @seconds = sort { $a <=> $b } @seconds;
    printf "%s_p50 %.3f\n", $metric, $seconds[@seconds / 2] * 1e6;
    printf "%s_p99 %.3f\n", $metric, $seconds[@seconds * 99 / 100] * 1e6;
}

sub one_at_a_time {
    my ($begin, @held) = now();
    push @held, finish("nothing") while now() - $begin < $window || @held < LEAST;
    printf "rate %.3f\n", @held / (now() - $begin);
    print_percentiles("held", @held);
}

sub pipelined {
    my ($begin, $ended, $running, $all) = (now(), 0, 0, AE::cv);
    my $next; $next = sub {
        $running++;
        start("nothing", sub { }, sub {
            $ended++; $running--;
            if (now() - $begin < $window || $ended < LEAST) { $next->() }
            elsif (!$running) { $all->send }
        });
    };
    $next->() for 1 .. IN_FLIGHT;
    $all->recv;
    printf "rate_pipelined %.3f\n", $ended / (now() - $begin);
}

sub first_byte {
    my ($begin, @waited) = now();
    while (@waited < SAMPLES && (@waited < LEAST || now() - $begin < 10 * $window)) {
        usleep PAUSE_US;
        my $before = now();
        finish("byte", sub { push @waited, now() - $before });
    }
    print_percentiles("first_byte", @waited);
}

my $data = "x" x ($app_mb << 20);
substr $data, $_ << 12, 1, "y" for 0 .. ($app_mb << 8) - 1;
finish("nothing") for 1 .. LEAST;
one_at_a_time();
pipelined();
first_byte();
