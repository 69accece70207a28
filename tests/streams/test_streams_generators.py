"""The bit generators against published vectors, and against themselves cut in other pieces."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.streams
from harness.streams import accelerate, mcg31, mt19937, philox, sources, threefry

FOLDER = Path(harness.streams.__file__).parent
CORES = ("philox", "threefry", "mt19937", "mcg31")

# Random123, tests/kat_vectors (https://github.com/DEShawResearch/random123): counter, key, words.
PHILOX = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
THREEFRY = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("counter", "key", "words"), PHILOX)
def test_philox_known_answers(counter, key, words):
    assert philox.block(key, counter) == words
    start = sum(word << 32 * place for place, word in enumerate(counter))
    out = np.empty(4, np.uint32)
    philox.words(key, start, 0, out)
    assert tuple(out) == words


@pytest.mark.parametrize(("counter", "key", "words"), THREEFRY)
def test_threefry_known_answers(counter, key, words):
    assert threefry.block(key, counter) == words
    first, second = np.empty(1, np.uint32), np.empty(1, np.uint32)
    threefry.pairs(key, counter[0] << 32 | counter[1], first, second)
    assert (first[0], second[0]) == words


def test_the_known_answers_catch_a_wrong_constant(monkeypatch):
    monkeypatch.setattr(threefry, "_ROTATIONS", ((13, 15, 26, 6), (17, 29, 16, 23)))
    monkeypatch.setattr(philox, "_WEYL", (0x9E3779B9, 0xBB67AE84))
    assert all(threefry.block(key, counter) != words for counter, key, words in THREEFRY)
    assert all(philox.block(key, counter) != words for counter, key, words in PHILOX)


def test_mt19937_gives_the_value_that_the_cpp_standard_states():
    # [rand.predef]: the 10000th invocation of a default-constructed mt19937 (seed 5489) gives 4123659995.
    stream = mt19937.Stream(5489)
    stream.skip(9999)
    assert stream.words32(1)[0] == 4123659995


def test_mt19937_begins_as_published():
    # First outputs of genrand_int32 after init_genrand(5489), the generator's default seed.
    assert mt19937.Stream(5489).words32(3).tolist() == [3499211612, 581869302, 3890346734]


def test_mt19937_words_of_64_bits_are_two_draws_with_the_high_one_first():
    narrow, wide = mt19937.Stream(3).words32(10).astype(np.uint64), mt19937.Stream(3).words64(5)
    assert np.array_equal(wide, narrow[0::2] << np.uint64(32) | narrow[1::2])


def test_mt19937_seeds_wrap():
    assert np.array_equal(mt19937.Stream(-5).words32(4), mt19937.Stream(2**32 - 5).words32(4))


def test_mcg31_follows_its_recurrence_over_chunks():
    out = np.empty(2 * mcg31.CHUNK + 5, np.uint32)
    mcg31.values(12345, 0, out)
    value = 12345
    for got in out.tolist():
        assert got == value
        value = value * 1132489760 % (2**31 - 1)


def test_mcg31_has_the_full_period():
    # The multiplier is a primitive root of the modulus: no power (m - 1) / q is 1, q over the primes of m - 1.
    order = mcg31.MODULUS - 1
    primes = (2, 3, 7, 11, 31, 151, 331)
    rest = order
    for prime in primes:
        while rest % prime == 0:
            rest //= prime
    assert rest == 1
    assert all(pow(mcg31.MULTIPLIER, order // prime, mcg31.MODULUS) != 1 for prime in primes)


def test_mcg31_seed_zero_becomes_one():
    assert [mcg31.initial(seed) for seed in (0, 2**31 - 1, 2**32 - 1, 5, -1)] == [1, 1, 1, 5, 1]


@settings(max_examples=40, deadline=None)
@given(start=st.integers(0, 40), count=st.integers(0, 40), low=st.sampled_from([0, 2**64 - 3, 2**128 - 4, 2**32 - 2]))
def test_philox_words_from_anywhere(start, count, low):
    whole, part = np.empty(80, np.uint32), np.empty(count, np.uint32)
    philox.words((1, 2), low, 0, whole)
    philox.words((1, 2), low, start, part)
    assert np.array_equal(part, whole[start : start + count])


def test_philox_counter_carries_through_all_words():
    for before in (2**32 - 1, 2**64 - 1, 2**96 - 1, 2**128 - 1):
        out = np.empty(8, np.uint32)
        philox.words((7, 8), before, 0, out)
        after = (before + 1) % 2**128
        assert tuple(out[4:]) == philox.block((7, 8), tuple(after >> 32 * place & 0xFFFFFFFF for place in range(4)))


def test_philox_is_the_same_in_other_chunks(monkeypatch):
    small, large = np.empty(1000, np.uint32), np.empty(1000, np.uint32)
    philox.words((1, 2), 5, 0, large)
    monkeypatch.setattr(philox, "CHUNK", 7)
    philox.words((1, 2), 5, 0, small)
    assert np.array_equal(small, large)


def test_original_threefry_in_parts():
    for total in (1, 2, 7, 8):
        whole = sources.original_words((3, 4), 0, total, total)
        parts = [sources.original_words((3, 4), i, i + 1, total)[0] for i in range(total)]
        assert whole.tolist() == parts
        # By the definition: counters padded to an even number, cut in halves, their words joined.
        counters = [*range(total), *[0] * (total % 2)]
        half = len(counters) // 2
        pairs = [threefry.block((3, 4), (counters[i], counters[half + i])) for i in range(half)]
        assert whole.tolist() == [*(a for a, _ in pairs), *(b for _, b in pairs)][:total]


def test_compiled_kernels_give_the_same_bits():
    pytest.importorskip("numba")
    from harness.streams import compiled

    for key, counter, count in (((1, 2), 3, 100), ((0xFFFFFFFF, 5), 2**64 - 3, 40), ((9, 8), 2**128 - 2, 40)):
        out, wanted = np.empty(count, np.uint32), np.empty(count, np.uint32)
        compiled.philox_words(*map(np.uint32, key), np.uint64(counter % 2**64), np.uint64(counter >> 64), out)
        philox.words(key, counter, 0, wanted)
        assert np.array_equal(out, wanted)
    for key, start in (((1, 2), 0), ((0xFFFFFFFF, 7), 2**32 - 3), ((1, 1), 2**64 - 3)):
        out = np.empty((4, 50), np.uint32)
        compiled.threefry_pairs(*map(np.uint32, key), np.uint64(start), out[0], out[1])
        threefry.pairs(key, start, out[2], out[3])
        assert np.array_equal(out[:2], out[2:])
    for key, first, second in (((1, 2), 0, 50), ((0xFFFFFFFF, 7), 2**32 - 3, 2**31)):
        out = np.empty((4, 50), np.uint32)
        compiled.threefry_columns(*map(np.uint32, (*key, first, second)), out[0], out[1])
        threefry.columns(key, first, second, out[2], out[3])
        assert np.array_equal(out[:2], out[2:])
    out, wanted = np.empty(1000, np.uint32), np.empty(1000, np.uint32)
    compiled.mcg31_values(np.uint64(2**31 - 2), out)
    mcg31.values(2**31 - 2, 0, wanted)
    assert np.array_equal(out, wanted)


def test_accelerated_words_from_anywhere(monkeypatch):
    pytest.importorskip("numba")
    from harness.streams import compiled

    kernels = (compiled.philox_words, compiled.threefry_pairs, compiled.mcg31_values, compiled.threefry_columns)
    monkeypatch.setattr(accelerate, "_kernels", kernels)
    for start, count in ((0, 8), (3, 5), (6, 1), (1, 0)):
        out, wanted = np.empty(count, np.uint32), np.empty(count, np.uint32)
        accelerate.philox_words((1, 2), 2**64 - 1, start, out)
        philox.words((1, 2), 2**64 - 1, start, wanted)
        assert np.array_equal(out, wanted)
        accelerate.mcg31_values(77, start, out)
        mcg31.values(77, start, wanted)
        assert np.array_equal(out, wanted)


@pytest.mark.parametrize("core", [*CORES, "__init__"])
def test_cores_are_python_3_6_with_numpy_alone(core):
    source = (FOLDER / f"{core}.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 6))
    # Imports within functions or under TYPE_CHECKING don't run in an old worker.
    imported = {name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert imported <= {"numpy", "typing"}


def test_importing_a_core_imports_no_rule():
    code = (
        "import sys; from harness.streams import threefry; print([m for m in sys.modules if 'harness.streams.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['harness.streams.threefry']"
