"""A collection whose trials lie in shards: every block's file first, then the lines, in the order of the blocks."""

from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List

from grasp_learning.durable import move_aside, sync_folder, write_atomically
from grasp_learning.journal import encode_line, repair_journal
from grasp_learning.simulation.shards import ShardError, count_rows, decode_shard
from grasp_learning.storage import (
    FAULTS_FILE,
    INCOMPLETE_FOLDER,
    INPROCESS_KIND,
    SHARDS_FOLDER,
    TRIALS_FILE,
    CollectionInfo,
    CollectionWriter,
    faults_of,
    read_trial_lines,
)
from grasp_learning.storage_errors import MalformedCollectionError, WrongCollectionError


def shard_name(block: int) -> str:
    """Where the shard of a block lies, relative to the collection."""
    return f"{SHARDS_FOLDER}/{block:06d}.parquet"


class ShardCollection(CollectionWriter):
    """A collection with one shard a block; see CollectionWriter.

    A shard holds all that the journals say of it, so the journals follow the shards: a block is finished when its
    shard is on disk, and its lines are appended as soon as those of all blocks before it are. So the journals are the
    same in whatever order the blocks are finished.
    """

    def _open(self, info: CollectionInfo) -> None:
        shards = self.folder / SHARDS_FOLDER
        new, info = self._new_info(info, INPROCESS_KIND)
        aside = shards / INCOMPLETE_FOLDER
        aside.mkdir(parents=True, exist_ok=True)
        if not new:
            for name in (TRIALS_FILE, FAULTS_FILE):
                self.notes += repair_journal(self.folder / name, aside)
        self._per_scene = info.trials_per_scene
        self._lines: Dict[int, List[Dict[str, Any]]] = {}  # of each block, as they are on disk
        for _, line in read_trial_lines(self.folder):
            self._lines.setdefault((line["number"] - 1) // self._per_scene, []).append(line)
        self._fault_lines = list(faults_of(self.folder))
        self._check_lines()
        self._rows = self._rows_on_disk(shards, aside)
        for block in sorted(block for block in self._lines if not self._rows.get(block)):
            self.notes.append(f"{shard_name(block)} is missing or damaged; its trials are simulated again")
        self._begin(info)
        sync_folder(shards)
        sync_folder(self.folder)
        self._write_lines()

    @property
    def recorded(self) -> int:
        """Finished trials on disk, those of earlier runs included."""
        return sum(1 for _ in self._present())

    @property
    def outcomes(self) -> Counter:
        """Counts by outcome, attempts without a label included."""
        return Counter(line["outcome"] for line in (*self._present(), *self._fault_lines))

    def _present(self) -> Iterator[Dict[str, Any]]:
        for block, lines in self._lines.items():
            yield from lines[: self._rows.get(block, 0)]

    def _check_lines(self) -> None:
        """Raise where lines were removed or moved: they are written in the order of their numbers, without gaps."""
        numbers = [line["number"] for lines in self._lines.values() for line in lines]
        for place, number in enumerate(numbers, 1):
            if number != place:
                raise MalformedCollectionError(
                    f"{self.folder / TRIALS_FILE}, line {place}: expected trial {place}, found {number}; "
                    "put back the lines that were removed or moved, or choose another folder"
                )
        for place, fault in enumerate(self._fault_lines, 1):
            if not isinstance(fault.get("block"), int):
                raise MalformedCollectionError(
                    f"{self.folder / FAULTS_FILE}, line {place}: key 'block' is {fault.get('block')!r}, expected int; "
                    "repair or remove the line"
                )

    def _rows_on_disk(self, shards: Path, aside: Path) -> Dict[int, int]:
        """Trials in the shard of each block; what is no whole shard is moved out of the way."""
        rows = {}
        for path in sorted(path for path in shards.iterdir() if path.is_file()):
            try:
                block = int(path.stem) if path.suffix == ".parquet" and not path.name.startswith(".") else -1
                rows[block] = count_rows(path) if block >= 0 else 0
            except (ValueError, ShardError):
                rows[-1] = block = -1
            if block < 0:
                kept = move_aside(path, aside)
                self.notes.append(f"set the unfinished {path.name} aside as {kept.relative_to(self.folder)}")
        rows.pop(-1, None)
        return rows

    def rows(self, block: int) -> int:
        """How many trials of a block are on disk."""
        return self._rows.get(block, 0)

    def add_block(self, block: int, content: bytes) -> None:
        """Write the shard of a block, in the place of a smaller one where there is one; on disk when this returns.

        Args:
            content: from :func:`grasp_learning.simulation.blocks.run_block`.

        Raises:
            CollectionError: it could not be written, and nothing that was there is lost; or the block gave other
                trials than those that are there.
            ShardError: this is no shard.
        """
        _, lines = decode_shard(content, shard_name(block))
        with self._writing():
            self.check_free_space()
            self._check_same(block, lines)
            path = self.folder / shard_name(block)
            write_atomically(path, path.with_name(f".{path.name}.part"), content)
            self._rows[block] = len(lines)
            self._write_lines()

    def _check_same(self, block: int, lines: List[Dict[str, Any]]) -> None:
        known = self._lines.get(block, [])
        if [encode_line(line) for line in known] != [encode_line(line) for line in lines[: len(known)]]:
            raise WrongCollectionError(
                f"{self.folder}: block {block} gave other trials now than when it was written, so the simulator or its "
                "libraries changed meanwhile; choose another folder"
            )

    def _write_lines(self) -> None:
        """Append the lines of all blocks that are next and on disk."""
        while True:
            block = sum(map(len, self._lines.values())) // self._per_scene
            known = self._lines.setdefault(block, [])
            if self._rows.get(block, 0) <= len(known):
                return
            scene, lines = decode_shard((self.folder / shard_name(block)).read_bytes(), shard_name(block))
            # faults first, so that the last trial's line says that all is there
            faults = scene.faults[sum(fault["block"] == block for fault in self._fault_lines) :]
            self._faults.append(*faults)
            self._fault_lines += faults
            self._trials.append(*lines[len(known) :])
            known += lines[len(known) :]
