"""Passage and sentence vectors from token outputs, over a forward pass that can be worked by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rag.embed import TokenEncoder, Vectors, load_embedder
from rag.errors import ModelError
from rag.sentences import sentence_spans
from rag.settings import Settings
from rag.weights import PACKAGED, package_files

VOCABULARY = ["[UNK]", "[CLS]", "[SEP]", *"one two three four cafe title".split(), "."]


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(VOCABULARY)}, "[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=True, lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


class OneHot:
    """A forward pass whose output at each token is the unit vector of the token's id."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[Vectors]:
        for ids, mask in batches:
            self.shapes.append(ids.shape)
            assert ((ids > 0) <= (mask > 0)).all()
            yield np.eye(len(VOCABULARY), dtype=np.float32)[ids] + (mask == 0)[..., None] * 1e6


def encoder(file: Path, forward: OneHot | None = None, max_tokens: int = 8) -> TokenEncoder:
    return TokenEncoder("fake", file, forward or OneHot(), len(VOCABULARY), max_tokens)


def parts(vector: Vectors) -> dict[str, float]:
    return {VOCABULARY[at]: round(float(vector[at]), 4) for at in np.flatnonzero(vector)}


def test_a_passage_is_the_mean_of_its_tokens(tokenizer_file: Path) -> None:
    [found] = encoder(tokenizer_file).embed(["one two two"])
    # Tokens CLS one two two SEP: counts 1 1 2 1, of length sqrt(7).
    third = round(1 / 7**0.5, 4)
    assert parts(found.passage) == {
        "[CLS]": third,
        "[SEP]": third,
        "one": third,
        "two": round(2 / 7**0.5, 4),
    }
    assert found.passage.dtype == np.float32
    assert found.sentences.shape == (0, len(VOCABULARY))


def test_a_sentence_is_the_mean_of_its_own_tokens(tokenizer_file: Path) -> None:
    text = "One two. Café four."
    spans = sentence_spans(text)
    [found] = encoder(tokenizer_file, max_tokens=20).embed([text], ["title"], [spans])
    third = round(1 / 3**0.5, 4)
    assert [parts(row) for row in found.sentences] == [
        {"one": third, "two": third, ".": third},
        {"cafe": third, "four": third, ".": third},
    ]
    assert "title" in parts(found.passage)


def test_a_sentence_beyond_the_limit_has_the_passages_vector(tokenizer_file: Path) -> None:
    text = "one one one one one one one one. two."
    [found] = encoder(tokenizer_file, max_tokens=6).embed([text], [], [[(0, 32), (33, 37)]])
    np.testing.assert_array_equal(found.sentences[1], found.passage)
    assert "two" not in parts(found.passage)


def test_texts_come_back_in_their_order_whatever_the_batches(tokenizer_file: Path) -> None:
    texts = ["one " * (n % 7 + 1) + VOCABULARY[3 + n % 5] for n in range(300)]
    forward = OneHot()
    seen: list[int] = []
    batched = encoder(tokenizer_file, forward, 300).embed(texts, progress=seen.append)
    for text, one in zip(texts, batched, strict=True):
        [alone] = encoder(tokenizer_file, max_tokens=300).embed([text])
        np.testing.assert_allclose(one.passage, alone.passage, atol=1e-6)
    assert all(rows * columns <= 2048 + 7 * rows for rows, columns in forward.shapes)
    assert all(columns % 8 == 0 for _, columns in forward.shapes)
    assert seen[-1] == 300
    assert seen == sorted(seen)


def test_nothing_gives_nothing(tokenizer_file: Path) -> None:
    assert encoder(tokenizer_file).embed([]) == []


def test_an_empty_text_still_has_a_unit_vector(tokenizer_file: Path) -> None:
    [found] = encoder(tokenizer_file).embed([""])
    assert np.linalg.norm(found.passage) == pytest.approx(1, abs=1e-6)


def test_counting_leaves_out_special_tokens_and_ignores_truncation(tokenizer_file: Path) -> None:
    assert encoder(tokenizer_file).count(["one two.", "", "one " * 50]) == [3, 0, 50]


def test_an_embedder_that_is_not_there(settings: Settings) -> None:
    missing = settings.model_copy(update={"embedder": "/nowhere/model"})
    with pytest.raises(ModelError, match="/nowhere/model"):
        load_embedder(missing)


SENTENCES = [
    "The memorandum was signed in Budapest on 5 December 1994.",
    "Bread is baked from flour, water, salt and yeast.",
    "Ukraine gave up the nuclear weapons on its territory.",
    "x",
    "Ελληνικά, 日本語 and émoji 😀 in one line.",
    "A long one. " * 60,
]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["openvino", "transformers"])
def test_the_real_model_agrees_with_sentence_transformers(runtime: str, settings: Settings) -> None:
    """Own pooling and the converted graph against the reference, in float32."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    if runtime == "openvino":
        pytest.importorskip("openvino")
    cache = Path(os.environ.get("FOOTNOTE_CACHE", settings.cache))
    embedder = load_embedder(settings.model_copy(update={"runtime": runtime, "cache": cache}))
    folder = package_files(PACKAGED["minilm"])[0].parent
    reference = sentence_transformers.SentenceTransformer(
        str(folder), device="cpu", local_files_only=True
    )
    expected = reference.encode(SENTENCES, normalize_embeddings=True)
    found = np.stack([one.passage for one in embedder.embed(SENTENCES)])
    assert found.shape == (len(SENTENCES), embedder.dimensions)
    assert (found * expected).sum(axis=1).min() > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_the_real_model_gives_a_text_the_same_bits_alone_and_among_others(
    threads: int, settings: Settings
) -> None:
    pytest.importorskip("openvino")
    cache = Path(os.environ.get("FOOTNOTE_CACHE", settings.cache))
    changed = {"runtime": "openvino", "cache": cache, "threads": threads}
    embedder = load_embedder(settings.model_copy(update=changed))
    texts = [" ".join([*SENTENCES[:3]] * 4)[n : n + 9 * n] for n in range(1, 60)]
    together = embedder.embed(texts)
    for at in (0, 7, 18, 31, 58):
        [alone] = embedder.embed([texts[at]])
        np.testing.assert_array_equal(alone.passage, together[at].passage)


@pytest.mark.slow
def test_the_real_model_is_left_in_the_middle(settings: Settings) -> None:
    """Whoever stops an embedding while batches are under way can go on with another."""
    pytest.importorskip("openvino")
    cache = Path(os.environ.get("FOOTNOTE_CACHE", settings.cache))
    embedder = load_embedder(
        settings.model_copy(update={"runtime": "openvino", "cache": cache, "threads": 2})
    )

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embedder.embed([SENTENCES[5]] * 40, progress=stop)
    [first, *others] = embedder.embed([SENTENCES[5]] * 20)
    assert all((one.passage == first.passage).all() for one in others)


@pytest.mark.slow
def test_the_real_models_sentence_vectors_tell_sentences_apart(settings: Settings) -> None:
    cache = Path(os.environ.get("FOOTNOTE_CACHE", settings.cache))
    embedder = load_embedder(settings.model_copy(update={"cache": cache}))
    text = " ".join(SENTENCES[:3])
    spans = sentence_spans(text)
    assert [text[a:b] for a, b in spans] == SENTENCES[:3]
    [found] = embedder.embed([text], [""], [spans])
    questions = [
        "When was the memorandum signed?",
        "How is bread baked?",
        "Who gave up nuclear weapons?",
    ]
    asked = np.stack([one.passage for one in embedder.embed(questions)])
    assert (asked @ found.sentences.T).argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(np.linalg.norm(found.sentences, axis=1), 1, atol=1e-5)
