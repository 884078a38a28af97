"""CPython's forkserver (multiprocessing), as a program that uses it would.

cpython-forkserver.py APP_MB WINDOW_MS    measures what measure.h does
"""
import collections
import multiprocessing
import sys
import time

IN_FLIGHT, PAUSE, SAMPLES, LEAST = 16, 2e-3, 64, 3


def worker(work, connection):
    if work == "byte":
        connection.send_bytes(b"x")
    connection.close()


def start(context, work):
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(work, theirs))
    process.start()
    theirs.close()
    return process, ours


def end(started):
    process, ours = started
    try:
        ours.recv_bytes()
    except EOFError:
        ours.close()
    process.join()


def print_percentiles(metric, seconds):
    seconds.sort()
    print(f"{metric}_p50 {seconds[len(seconds) // 2] * 1e6:.3f}")
    print(f"{metric}_p99 {seconds[len(seconds) * 99 // 100] * 1e6:.3f}")


def one_at_a_time(context, window):
    held, begin = [], time.monotonic()
    while time.monotonic() - begin < window or len(held) < LEAST:
        before = time.monotonic()
        started = start(context, "nothing")
        held.append(time.monotonic() - before)
        end(started)
    print(f"rate {len(held) / (time.monotonic() - begin):.3f}")
    print_percentiles("held", held)


def pipelined(context, window):
    running, ended, begin = collections.deque(), 0, time.monotonic()
    while time.monotonic() - begin < window or ended < LEAST:
        while len(running) < IN_FLIGHT:
            running.append(start(context, "nothing"))
        end(running.popleft())
        ended += 1
    print(f"rate_pipelined {ended / (time.monotonic() - begin):.3f}")
    while running:
        end(running.popleft())


def first_byte(context, window):
    waited, begin = [], time.monotonic()
    while len(waited) < SAMPLES and (len(waited) < LEAST or time.monotonic() - begin < 10 * window):
        time.sleep(PAUSE)
        before = time.monotonic()
        started = start(context, "byte")
        started[1].recv_bytes()
        waited.append(time.monotonic() - before)
        end(started)
    print_percentiles("first_byte", waited)


def main():
    app_mb, window = int(sys.argv[1]), int(sys.argv[2]) / 1e3
    data = bytearray(app_mb << 20)
    for at in range(0, len(data), 4096):
        data[at] = 1
    context = multiprocessing.get_context("forkserver")
    for _ in range(LEAST):
        end(start(context, "nothing"))
    one_at_a_time(context, window)
    pipelined(context, window)
    first_byte(context, window)


if __name__ == "__main__":
    main()
