"""CPython's concurrent.futures with a pool of one process, as a program that uses it would.

cpython-futures.py OCTETS    prints what ../rpc/main.rs prints
"""
import concurrent.futures
import statistics
import sys
import time

WINDOW, SAMPLES, LARGE = 0.3, 9, 1 << 20


def echo(text):
    return text


def give(octets):
    return b"x" * octets


def main():
    octets = int(sys.argv[1])
    with concurrent.futures.ProcessPoolExecutor(1) as pool:
        pool.submit(echo, "").result()
        if octets < LARGE:
            text, trips, begin = "x" * octets, 0, time.monotonic()
            while time.monotonic() - begin < WINDOW:
                assert len(pool.submit(echo, text).result()) == octets
                trips += 1
            print(f"round_trips {trips / (time.monotonic() - begin):.3f}")
            return
        times = []
        for _ in range(SAMPLES):
            begin = time.monotonic()
            assert len(pool.submit(give, octets).result()) == octets
            times.append(time.monotonic() - begin)
        print(f"bulk {statistics.median(times) * 1e3:.6f}")


if __name__ == "__main__":
    main()
