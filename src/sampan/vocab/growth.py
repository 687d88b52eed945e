"""A tokenizer.json that grows: its old ids fixed, new pieces and merges appended, built into a Rust tokenizer."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, StageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from .guard import Guard

Merge = tuple[str, str]


class Growth(ABC):
    """The base tokenizer of a folder and what has been added to it so far.

    `pieces` are the new tokens as the vocabulary spells them, in order of id from `first_id` on; `characters` are those
    that `admit` has made; `merges` are learned (left, right) pairs of tokens, in order. `original` is the tokenizer as
    it came; `base_tokenizer` has the same vocabulary and, perhaps, a repaired word expression. Subclasses know how
    their family spells text.
    """

    whole_characters = True
    """Whether tokens are whole characters (or single bytes), and never parts of two."""
    left_out = ""
    """A character that is left out of the text that pieces are learned from."""

    def __init__(self, folder: Path, *, rows: int = 0) -> None:
        """`rows`: rows of the model's embedding, where it has more than the tokenizer has ids."""
        self.folder = folder
        self.base: dict[str, Any] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        # Added tokens get their ids in the vocabulary itself: elsewhere their ids would follow the vocabulary's size.
        self.vocab: dict[str, int] = dict(self.base["model"]["vocab"])
        self.vocab |= {token["content"]: token["id"] for token in self.base.get("added_tokens", [])}
        self.base_merges: list[Merge] = [_merge(item) for item in self.base["model"]["merges"]]
        self.base_size = max(self.vocab.values()) + 1
        self.pieces: list[str] = []
        self.merges: list[Merge] = []
        self._made: set[Merge] = set()
        self.language_of: dict[str, str] = {}
        self.characters: set[str] = set()
        self.reserved: list[str] = []
        self.given_away: dict[str, int] = {}
        used = set(self.vocab.values())
        holes = [number for number in range(max(self.base_size, rows)) if number not in used]
        self.fillers = dict(zip(self._reserved_names(len(holes)), holes, strict=True))
        self.first_id = max(self.base_size, rows)
        self.original = self.base_tokenizer = self.build()

    @abstractmethod
    def spell(self, text: str) -> str:
        """Text as the vocabulary writes it."""

    @abstractmethod
    def raw(self, token: str) -> bytes:
        """The UTF-8 bytes a token stands for (b"" for one that stands for no text)."""

    @abstractmethod
    def normalised(self, text: str) -> str:
        """Text as the tokenizer sees it, blanks written as blanks."""

    @abstractmethod
    def fragments(self, run: str) -> list[str]:
        """A run of one script, normalised, cut into the stretches inside which tokens may be merged."""

    @abstractmethod
    def bare_spelling(self, run: str) -> str:
        """A run as the tokenizer of `bare()` takes it."""

    @abstractmethod
    def bare_pre_tokenizer(self) -> Any:
        """The pre_tokenizer of `bare()`: it cuts nothing."""

    @abstractmethod
    def admit(self, char: str, budget: int, guard: Guard, language: str) -> int:
        """Give a character that is spelled in bytes a piece of its own, if `budget` has room for the pieces that it
        needs; returns how many."""

    @abstractmethod
    def joinable(self, token: str) -> bool:
        """Whether a token of a segmentation may be part of a new piece."""

    @abstractmethod
    def all_merges(self) -> Sequence[Merge]:
        """Old and new merges, in order of priority."""

    def reachable(self, tokenizer: Tokenizer, piece: str) -> bool:
        """Whether the text of a new piece is encoded as that one piece."""
        tokens = tokenizer.model.tokenize(piece)
        return len(tokens) == 1 and tokens[0].value == piece

    def tokens(self, tokenizer: Tokenizer, text: str) -> list[str]:
        """The tokens of one stretch of text, taken by itself (its blank before it included)."""
        return [token.value for token in tokenizer.model.tokenize(self.spell(text))]

    def known(self, token: str) -> bool:
        return token in self.vocab or token in self.language_of

    def add(self, piece: str, language: str) -> None:
        if not self.known(piece):
            self.pieces.append(piece)
            self.language_of[piece] = language

    def join(self, left: str, right: str, language: str) -> None:
        """Merge `left` and `right` from now on."""
        if (left, right) not in self._made:
            self._made.add((left, right))
            self.merges.append((left, right))
        self.add(left + right, language)

    def drop(self, pieces: Collection[str]) -> None:
        """Take new pieces out again, with every merge that makes or uses them."""
        gone = set(pieces)
        self.pieces = [piece for piece in self.pieces if piece not in gone]
        self.merges = [(a, b) for a, b in self.merges if not gone & {a, b, a + b}]
        self._made = set(self.merges)
        for piece in gone:
            del self.language_of[piece]

    def give_away(self, tokens: Sequence[str]) -> None:
        """Take old tokens out, which no merge of others may use; new pieces get their ids first. `base_tokenizer`
        still knows them."""
        self.given_away = {token: self.vocab.pop(token) for token in tokens}
        self.base_merges = [(a, b) for a, b in self.base_merges if a + b not in self.given_away]

    @property
    def piece_ids(self) -> list[int]:
        """The ids of `pieces`: those of tokens given away, in order, then those from `first_id` on."""
        number = len(self.pieces)
        free = sorted(self.given_away.values())
        return [*free[:number], *range(self.first_id, self.first_id + number - len(free))]

    @property
    def size(self) -> int:
        """Ids in all."""
        return self.first_id + max(0, len(self.pieces) - len(self.given_away)) + len(self.reserved)

    def pad(self, multiple: int) -> int:
        """Reserved tokens at ids given away that no piece has taken, and, where the vocabulary has grown, after the
        last piece, up to a multiple of `multiple` ids in all; returns the size."""
        spare = sorted(self.given_away.values())[len(self.pieces) :]
        self.fillers |= dict(zip(self._reserved_names(len(spare), start=len(self.fillers)), spare, strict=True))
        missing = 0 if self.given_away and self.size == self.first_id else -self.size % multiple
        self.reserved = self._reserved_names(missing, start=len(self.fillers))
        return self.size

    def _reserved_names(self, number: int, start: int = 0) -> list[str]:
        names: list[str] = []
        while len(names) < number:
            if (name := f"<|reserved_{start}|>") not in self.vocab:
                names.append(name)
            start += 1
        return names

    def new_ids(self) -> dict[str, int]:
        """New pieces and reserved tokens with their ids."""
        after = range(self.size - len(self.reserved), self.size)
        return dict(zip([*self.pieces, *self.reserved], [*self.piece_ids, *after], strict=True)) | self.fillers

    def document(self) -> dict[str, Any]:
        """The grown tokenizer.json, merges as pairs: a list of each of hundreds of thousands would cost a fifth of
        the time of growing, most of it Python's collector looking at them."""
        out = copy.copy(self.base)
        out["model"] = dict(self.base["model"])
        out["model"]["vocab"] = self.vocab | self.new_ids()
        out["model"]["merges"] = self.all_merges()
        marker = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        ids = self.new_ids()
        added = [{"id": ids[name], "content": name, **marker} for name in [*self.fillers, *self.reserved]]
        out["added_tokens"] = sorted([*self.base.get("added_tokens", []), *added], key=lambda token: token["id"])
        return out

    def build(self) -> Tokenizer:
        """The grown tokenizer as a Rust object."""
        return self._load(self.document())

    def bare(self, letters: frozenset[str] = frozenset()) -> Tokenizer:
        """The grown model alone, for runs by themselves: no normalisation, no added tokens, nothing put around.

        With `letters`, those that spell the runs, only the tokens made of them: the same cuts from a small vocabulary.
        """
        spec = {**self.document(), "normalizer": None, "post_processor": None, "added_tokens": []}
        if letters:
            vocab = {token: number for token, number in spec["model"]["vocab"].items() if letters.issuperset(token)}
            merges = [merge for merge in spec["model"]["merges"] if merge[0] in vocab and merge[1] in vocab]
            spec["model"] |= {"vocab": vocab, "merges": merges}
        return self._load(spec | {"pre_tokenizer": self.bare_pre_tokenizer()})

    def _load(self, spec: dict[str, Any]) -> Tokenizer:
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_str(json.dumps(spec, ensure_ascii=False))
        except Exception as error:  # tokenizers raises plain Exception
            raise StageError(f"the grown tokenizer does not load ({str(error)[:200]})") from None

    def save(self, out: Path, after: Tokenizer) -> None:
        """Write the grown files into `out`, everything else of the tokenizer as it was; `build` gave `after`."""
        from ..model.tokenizer import copy_tokenizer

        copy_tokenizer(self.folder, out)
        (out / "fertility.json").unlink(missing_ok=True)
        for stale in ("vocab.json", "merges.txt"):  # the slow tokenizer's files, which would no longer agree
            (out / stale).unlink(missing_ok=True)
        after.save(str(out / "tokenizer.json"))


def open_growth(folder: Path, *, scripts: Iterable[str], rows: int = 0, repair: bool = True) -> Growth:
    """The right kind of growth for a tokenizer folder; InputError if its family cannot be continued."""
    from .byte_level_family import ByteLevelGrowth
    from .sentencepiece_family import SentencePieceGrowth

    file = folder / "tokenizer.json"
    try:
        spec = json.loads(file.read_text(encoding="utf-8"))
        kind = spec["model"]["type"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(file, error) from None
    if kind != "BPE":
        raise InputError(f"this tokenizer is of type {kind}; only BPE vocabularies can be continued", where=str(folder))
    try:
        if '"ByteLevel"' in json.dumps(spec.get("pre_tokenizer")):
            return ByteLevelGrowth(folder, rows=rows, scripts=tuple(scripts), repair=repair)
        return SentencePieceGrowth(folder, rows=rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> InputError:
    return InputError(
        f"the tokenizer does not load ({type(error).__name__}: {str(error)[:200]})",
        where=str(file),
        how="The file is cut short or damaged; copy it again from its source.",
    )


def _merge(item: Any) -> Merge:
    left, right = item.split(" ") if isinstance(item, str) else item
    return left, right
