#!/usr/bin/env python3
"""What python_bench tells of durations, against the durations themselves."""

import bisect
import os
import random
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import python_bench  # noqa: E402

QUANTILES = (0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1)


def quantile_of_pairs(pairs, quantile):
    pairs = sorted(pairs)
    sums, total = [], 0
    for _, times in pairs:
        total += times
        sums.append(total)
    return pairs[bisect.bisect_left(sums, quantile * total - 1e-9)][0]


class Histogram(unittest.TestCase):
    def test_quantiles_are_within_one_percent_of_exact_ones(self):
        chance = random.Random(1)
        for size in (1, 2, 10, 1000):
            for _ in range(50):
                values = [chance.getrandbits(43) >> chance.randrange(44) for _ in range(size)]
                pairs = python_bench.histogram(values)
                self.assertEqual(sum(times for _, times in pairs), size)
                self.assertTrue(all(times > 0 for _, times in pairs))
                ordered = sorted(values)
                for quantile in QUANTILES:
                    exact = ordered[max(0, -int(-quantile * size // 1) - 1)]
                    told = quantile_of_pairs(pairs, quantile)
                    self.assertLessEqual(abs(told - exact), 0.01 * exact, (values, quantile))
                self.assertEqual(max(value for value, _ in pairs), ordered[-1])

    def test_nothing_is_told_of_nothing(self):
        self.assertEqual(python_bench.histogram([]), [])

    def test_a_value_stays_in_its_bucket_of_128_an_octave(self):
        for value in [*range(2000), 2**20 - 1, 2**20, 2**40 + 12345]:
            cut = python_bench.cut(value)
            self.assertLessEqual(cut, value)
            shift = max(0, value.bit_length() - 8)
            self.assertEqual((cut.bit_length(), cut >> shift), (value.bit_length(), value >> shift))


class Kinds(unittest.TestCase):
    def test_each_kind_refuses_with_a_sentence_or_can_be_called(self):
        for lock in python_bench.locks():
            self.assertTrue(all(lock["refuses"].values()), lock)

    def test_a_lock_with_contexts_only_excludes_through_them(self):
        held = []

        class Manager:
            def __enter__(self):
                held.append(self)

            def __exit__(self, *_):
                held.remove(self)

        acquire, release = python_bench.by_context(Manager)
        self.assertTrue(acquire())
        self.assertEqual(len(held), 1)
        release()
        self.assertEqual(held, [])


if __name__ == "__main__":
    unittest.main()
