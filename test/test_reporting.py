"""The page of a folder of experiments says what is there, what is not, who wins, and where each number comes from."""

import base64
import html.parser
import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import report_samples as samples
from model_samples import save_model

import grasp_learning.reporting
from grasp_learning import report
from grasp_learning.evaluation.results import load_evaluation
from grasp_learning.experiments.places import Places
from grasp_learning.experiments.results import EXPERIMENT_IDS, Figure, save_run
from grasp_learning.reporting import ranked
from grasp_learning.reporting.build import make_sections, write_report
from grasp_learning.reporting.differences import differences
from grasp_learning.reporting.errors import ReportError
from grasp_learning.reporting.examples import examples_section
from grasp_learning.reporting.headline import compare_methods, headline
from grasp_learning.reporting.mosaic import mosaic, spread
from grasp_learning.reporting.plots import Curve, Point, curves, dots
from grasp_learning.reporting.sources import gather
from grasp_learning.reporting.words import duration, listed, measured, moment, number

DOCS = Path(__file__).resolve().parent.parent / "docs"
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(html.parser.HTMLParser):
    """A page's elements; it fails where tags do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open and self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "script"):
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def small(folder, *names, **run):
    """Experiments of which only some have results."""
    folder.mkdir()
    save_run(folder, samples.run_info(folder, **run))
    samples.save_results(folder, names)
    return folder


def page_of(folder):
    return Page((folder / "report.html").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of which nothing is missing, but Fig. 6, and what was written of it."""
    folder = samples.whole_folder(tmp_path_factory.mktemp("whole") / "out")
    return folder, write_report(folder)


@pytest.fixture(scope="module")
def page(whole):
    return page_of(whole[0])


# The page as a whole


def test_the_page_has_every_experiment_with_its_question_numbers_and_the_papers(page, whole):
    sections = {each["id"] for each in page.all("section")}
    assert {*EXPERIMENT_IDS, "summary", "ranked", "examples", "methods", "differences", "run"} <= sections
    for name in EXPERIMENT_IDS:
        assert f"What does {name} do? It is measured, and <b>compared</b>." in page.text
    assert "71.0 % (67.0 to 75.0 %) of 400" in page.text and "76.9 %" in page.text  # a network, and the paper's
    assert "3,245 trials" in page.text and "26.4 tries" in page.text
    assert "Gamma 1 was not trained." in page.text and "not measured" in page.text
    assert whole[1].missing == [] and whole[1].problems == []


def test_the_page_is_sound_html_that_people_who_do_not_see_can_use(page):
    assert page.all("html")[0]["lang"] == "en" and len(page.all("h1")) == 1
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [each["href"] for each in page.all("a")]
    assert targets and all(target[0] == "#" and target[1:] in ids for target in targets)
    assert all(len(each["alt"]) > 30 for each in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) > 10
    assert all(each.get("scope") in ("col", "row") for each in page.all("th"))
    assert any(each.get("name") == "viewport" for each in page.all("meta"))
    assert all(each["aria-label"] for each in page.all("div") if each.get("role") == "region")


def test_the_page_asks_no_server_and_names_no_folder_of_this_machine(whole):
    text = (whole[0] / "report.html").read_text()
    assert not re.search(r"(?i)https?:|//[a-z]+\.|url\(|@import|<link|<iframe|\bsrc=(?!\"data:)", text)
    assert str(whole[0]) not in text


def test_each_figure_is_on_the_page_and_beside_it(page, whole):
    files = {path.name for path in (whole[0] / "figures").iterdir()}
    assert files == {path.name for path in whole[1].figures}
    expected = ("table1", "table2", "fig8", "stages", "stages_rates", "clear_table_tries", "examples")
    assert {f"{name}.png" for name in expected} <= files
    assert {f"{kind}_{split}.png" for kind in ("calibration", "precision", "objects") for split in
            ("test_novel", "test_seen")} <= files  # fmt: skip
    embedded = [each["src"].split(",", 1)[1] for each in page.all("img")]
    assert len(embedded) == len(files)
    for content in map(base64.b64decode, embedded):
        assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape[1] > 400
    for name in files:
        assert cv2.imread(str(whole[0] / "figures" / name)).std() > 5
        assert f"figures/{name}" in page.text


def test_the_page_and_its_figures_stay_small(whole):
    assert (whole[0] / "report.html").stat().st_size < 1_500_000


def test_every_number_names_its_file_and_its_command(page):
    titled = [each["title"] for tag, each in page.elements if tag == "td" and "title" in each]
    origin = "steps/evaluate_table2/evaluation/evaluation.json; python -m grasp_learning.evaluation.evaluate"
    assert sum(title.startswith(origin) for title in titled) > 20
    assert "steps/clear_table/tables/tables.jsonl" in titled
    assert "--data steps/export_novel/dataset --seed 7" in page.text
    assert page.text.count("Where these numbers come from") == len(EXPERIMENT_IDS) + 2  # examples and methods


def test_how_it_was_run_can_be_read(page):
    for words in ("seed 11", "abc1234", "2 cores of a test", "2026-03-04 05:06 UTC", "1 h 02 min", "fc6 64"):
        assert words in page.text, words
    assert "1 h 04 min in all" in page.text


def test_each_cleared_table_is_there(page):
    assert "3 10 60 12 8 0 0 try limit 10 min 00 s" in page.text
    assert "2 of 3 were emptied, 27.5 in the mean" in page.text


def test_methods_are_told_in_detail(page):
    assert "HoG + kNN *" in page.text and "chose its parameters on the test set" in page.text
    assert "expected calibration error" in page.text
    assert "the network of stage 1 on held-out objects by angle" in page.text
    assert "thing_3" in page.text


def test_the_same_folder_gives_the_same_page_and_nothing_stays_of_an_older_one(whole, tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(whole[0], folder)
    (folder / "figures/gone.png").write_bytes(b"of an experiment that was renamed")
    before = {path.name: path.read_bytes() for path in (folder / "figures").iterdir() if path.name != "gone.png"}
    text = (folder / "report.html").read_bytes()
    write_report(folder)
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == before
    assert (folder / "report.html").read_bytes() == text


def contrast(one, other):
    """WCAG's ratio of two colours, "#rrggbb"."""

    def light(colour):
        parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_letters_are_readable_in_light_in_dark_and_on_paper():
    css = (Path(grasp_learning.reporting.__file__).parent / "templates/style.css").read_text()
    themes = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", part)) for part in css.split(":root")[1:]]
    assert len(themes) == 3 and "prefers-color-scheme: dark" in css and "@media print" in css
    for theme, ink, ground in itertools.product(themes, ("ink", "faint", "link", "held", "failed", "open"), ("paper",)):
        assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, theme[ink])
    assert all(contrast(theme["ink"], theme["soft"]) >= 7 for theme in themes)


def test_commands_are_told_as_typed_in_the_folder_wherever_it_lies(tmp_path):
    command = "rosrun grasp_learning experiments --out /elsewhere/a --seed 3"
    sources = gather(small(tmp_path / "out", command=command))
    assert sources.relative("/usr/x/bin/python3.11 -m tool --data /elsewhere/a/steps/b /elsewhere/a/c") == (
        "python3.11 -m tool --data steps/b c"
    )
    assert sources.relative(f"{tmp_path}/out {tmp_path}/out2 {tmp_path}/out: gone") == f". {tmp_path}/out2 .: gone"
    assert sources.relative(command) == "rosrun grasp_learning experiments --out . --seed 3"


# What it comes to


def judged(tmp_path, **skills):
    samples.save_evaluation_of(tmp_path, {**samples.SKILLS, **skills})
    return compare_methods(load_evaluation(Places(tmp_path).evaluation("table2")))


def test_where_the_network_wins_it_says_by_how_much(tmp_path):
    found = judged(tmp_path)
    assert found.holds is True and found.text.startswith("No baseline wins over the network.")
    assert re.search(r"84\.2 % \(.*\) for the network of stage 1; 72\.1 % \(.*\) for HoG \+ linear SVMs", found.text)
    assert "the best baseline, a lead of 12.1 points" in found.text and "more than chance" in found.text


def test_a_baseline_that_wins_comes_first(tmp_path):
    found = judged(tmp_path, svm=("svm", 0.95), knn=("knn", 0.85))
    assert found.holds is False
    assert found.text == (
        "Baselines win over the network: on held-out objects the best one, the network of stage 1, is beaten by "
        "HoG + linear SVMs and HoG + kNN."
    )
    assert "more than chance" in found.reasons[1] and "which may be chance" in found.reasons[2]
    assert "(parameters chosen on the test set)" in found.reasons[2]
    folder = small(tmp_path / "out", "fig8")
    samples.save_evaluation_of(folder, {**samples.SKILLS, "mine": ("my.module:Method", 0.95)})
    assert write_report(folder, pictures=False).statements[0].text.endswith("is beaten by mine.")
    text = page_of(folder).text
    assert text.index("A baseline wins over the network") < text.index("More trials help")


def test_a_baseline_that_wins_on_objects_of_the_training_comes_first_too(tmp_path):
    folder = small(tmp_path / "out", "fig8")
    knn = ("knn", {"test_novel": 0.68, "test_seen": 0.95})
    samples.save_evaluation_of(folder, {**samples.SKILLS, "knn": knn})
    first, second, *_ = headline(gather(folder))
    assert (first.holds, second.holds) == (False, True)
    assert first.text == (
        "A baseline wins over the network: on objects of the training the best one, the network of stage 1, is beaten "
        "by HoG + kNN."
    )
    assert second.text.startswith("No baseline wins over the network. Right on held-out objects:")


def test_a_lead_that_may_be_chance_decides_nothing(tmp_path):
    found = judged(tmp_path, svm=("svm", 0.83))
    assert found.holds is None and found.verdict == "Not decided"
    assert found.text.startswith("Whether the network wins over the baselines is not decided. Right on held-out")
    assert "which may be chance" in found.text


def test_a_lead_on_a_handful_of_tables_decides_nothing(tmp_path):
    samples.save_evaluation_of(tmp_path, samples.SKILLS)
    evaluation = load_evaluation(Places(tmp_path).evaluation("table2"))
    few = [each.model_copy(update={"clusters": 6, "resampled_by": "scene"}) for each in evaluation.results]
    found = compare_methods(evaluation.model_copy(update={"results": few}))
    assert found.holds is None and found.text.endswith("which may be chance: there are 6 scenes only.")


def test_an_equal_baseline_is_no_defeat_of_it(tmp_path):
    found = judged(tmp_path, svm=("svm", 0.84))
    assert found.holds is False and found.text.startswith("The network does not win")
    assert "is equalled by HoG + linear SVMs" in found.text


def test_without_a_network_nothing_is_claimed(tmp_path):
    samples.save_evaluation_of(tmp_path, {"svm": ("svm", 0.7)})
    found = compare_methods(load_evaluation(Places(tmp_path).evaluation("table2")))
    assert found.holds is None and "No network was evaluated" in found.text


def test_the_order_of_table_two_comes_next_then_what_did_not_hold(whole, page):
    claims = [(each.id, each.holds) for each in whole[1].statements]
    assert claims == [("table2", True), ("table2", False), ("fig8", True), ("stages", None)]
    text = page.text
    assert text.index("Did not hold The order of Table II") < text.index("Held More trials help")
    assert "SVM beats the network." in text and "Not decided Stages help" in text


# What is not there


def test_missing_experiments_are_named_and_never_invented(tmp_path):
    folder = small(tmp_path / "out", "gamma", experiments=["gamma", "fig8"])
    written = write_report(folder, pictures=False)
    assert written.missing == [name for name in EXPERIMENT_IDS if name != "gamma"]
    text = page_of(folder).text
    assert "Without results: table1, table2, fig8, pretraining, stages, aggregation, reranking" in text
    assert "This run was not asked for it; experiments --only stages adds it." in text
    assert "It was asked for, but the run failed or was interrupted" in text
    assert "There is no evaluation of Table II's methods" in text
    assert {path.name for path in written.figures} == {"gamma.png"}


def test_an_interrupted_run_gives_a_report_of_what_is_there(tmp_path, capsys):
    folder = small(tmp_path / "out", finished="")
    assert report.main([str(folder)]) == 0
    text = page_of(folder).text
    assert "The run has not ended, or was interrupted: this is what there is so far." in text
    assert "Nothing can be said yet" in text and "not finished" in text
    out = capsys.readouterr().out
    assert f"page     {folder / 'report.html'}" in out and "without results: table1, table2" in out


def test_an_experiment_without_a_single_number_says_so(tmp_path):
    folder = small(tmp_path / "out")
    samples.save_result(folder, "reranking", [samples.figure(folder, "with", None)])
    assert write_report(folder, pictures=False).figures == []
    assert "Nothing of this could be measured in this run" in page_of(folder).text


@pytest.mark.parametrize(
    "file, content, told",
    [
        ("experiments.json", "{", "experiments.json: is not JSON"),
        ("results/fig8.json", "[]", "results/fig8.json: is of format None"),
        ("results/fig8.json", '{"format": 1, "id": "fig8"}', "results/fig8.json: key 'title' is missing"),
        ("steps/evaluate_table2/evaluation/evaluation.json", "{}", "evaluation.json: format None"),
        ("steps/clear_table/tables/tables.jsonl", "{}\n", "tables.jsonl, line 1: key 'table'"),
        ("steps/collect_best_plain/best_plain/collection.yaml", "robot: 1", "best_plain: "),
    ],
)
def test_a_damaged_file_is_one_line_and_costs_its_own_section_only(tmp_path, capsys, file, content, told):
    folder = small(tmp_path / "out", "gamma", "fig8")
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if path.name == "collection.yaml":
        (path.parent / "trials.jsonl").write_text("no object\n")
        told = "best_plain/trials.jsonl, line 1"
    assert report.main([str(folder)]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and errors[0].startswith("report: ") and told in errors[0]
    text = page_of(folder).text
    assert "Files that could not be used:" in text and told.split(":")[0] in text
    assert "77.0 %" in text  # Gamma's


def test_results_without_experiments_json_are_told_all_the_same(tmp_path):
    folder = small(tmp_path / "out", "gamma")
    (folder / "experiments.json").unlink()
    write_report(folder, pictures=False)
    assert "It is not known how this was run" in page_of(folder).text and "77.0 %" in page_of(folder).text


def test_a_page_that_cannot_be_written_is_one_clear_line(tmp_path):
    folder = small(tmp_path / "out")
    (folder / "report.html").mkdir()
    with pytest.raises(SystemExit) as end:
        report.main([str(folder)])
    assert str(end.value.code).startswith("report: ") and "report.html: cannot be written" in end.value.code


def test_a_folder_of_something_else_is_none_of_experiments(tmp_path):
    with pytest.raises(ReportError, match=r"no experiments\.json here; name the folder that"):
        gather(tmp_path)


def test_a_curriculum_beside_the_results_of_something_else_is_no_folder_of_experiments(tmp_path, capsys):
    (tmp_path / "results").mkdir()
    (tmp_path / "curriculum.json").write_text('{"format": 1, "stages": [], "settings": {"stages": 1, "trials": [9]}}')
    assert report.main([str(tmp_path)]) == 0
    assert "curriculum, 0 stage(s)" in capsys.readouterr().out and not (tmp_path / "report.html").exists()


def test_a_folder_is_told_by_its_own_name_however_it_is_named(tmp_path):
    folder = small(tmp_path / "out", "gamma")
    (folder / "steps").mkdir()
    assert write_report(folder / "steps" / "..", pictures=False).page == folder / "report.html"
    assert page_of(folder).text.startswith("Experiments: out ")
    assert str(folder) not in (folder / "report.html").read_text()


@pytest.mark.parametrize("option", [["--picture", "x.png"], ["--limit", "3"]])
def test_options_of_collections_are_wrong_usage_elsewhere(tmp_path, capsys, option):
    with pytest.raises(SystemExit) as end:
        report.main([str(small(tmp_path / "out")), *option])
    assert end.value.code == 2 and f"{option[0]} is for collections" in capsys.readouterr().err


# Pictures


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path)
    return path


def test_ranked_patches_are_those_that_the_network_likes_best(tmp_path, model, monkeypatch):
    monkeypatch.setattr(ranked, "PICTURES", 3)
    samples.save_collections(tmp_path)
    places = Places(tmp_path)
    for stage in (2, 10):
        places.model(f"stage{stage}").parent.mkdir(parents=True)
        shutil.copy(model, places.model(f"stage{stage}"))
    assert ranked.find(tmp_path) == (places.model("stage10"), places.collection("novel"))
    found = ranked.compare_patches(model, places.collection("novel"))
    assert len(found.ranked) == len(found.random) == 3
    assert {patch.shape for patch in (*found.ranked, *found.random)} == {(56, 56, 3)}
    again = ranked.compare_patches(model, places.collection("novel"))
    assert all(np.array_equal(a, b) for a, b in zip(found.ranked + found.random, again.ranked + again.random))
    save_run(tmp_path, samples.run_info(tmp_path))
    section = ranked.ranked_section(gather(tmp_path))
    assert section.lacking == "" and section.origins[0][1:] == (
        "steps/collect_novel/novel",
        "network steps/train_stage10/training/model.safetensors",
    )


def test_a_damaged_network_is_a_problem_that_is_told(tmp_path):
    samples.save_collections(tmp_path)
    save_run(tmp_path, samples.run_info(tmp_path))
    path = Places(tmp_path).model("stage0")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no network")
    sources = gather(tmp_path)
    section = ranked.ranked_section(sources)
    assert section.pictures == [] and section.lacking == sources.problems[0]
    assert section.lacking.startswith("steps/train_stage0/training/model.safetensors: ")


def test_examples_are_spread_over_all_trials_with_their_counts(tmp_path):
    save_run(tmp_path, samples.run_info(tmp_path))
    assert "no trials with a network's best grasps" in examples_section(gather(tmp_path)).lacking
    samples.save_collections(tmp_path)
    section = examples_section(gather(tmp_path))
    assert "(30 trials, 15 held something)" in section.paragraphs[0]
    assert section.pictures[0].alt == "Patches of grasps: 12 that held something and 12 that held nothing."
    left_out = [each.id for each in make_sections(gather(tmp_path), pictures=False) if "--no-picture" in each.lacking]
    assert left_out == ["ranked", "examples"]


def test_places_are_spread_from_the_first_to_the_last():
    assert spread(100, 3).tolist() == [0, 50, 99] and spread(2, 12).tolist() == [0, 1] and spread(0, 12).tolist() == []


def test_a_mosaic_has_the_pictures_in_rows_with_frames():
    sheet = mosaic([("some", [np.full((20, 20, 3), 80, np.uint8)] * 3, (0, 0, 255))], columns=2, tile=40)
    assert sheet.shape == (34 + 2 * 46 + 6, 2 * 46 + 6, 3)
    assert sheet[34, 10].tolist() == [0, 0, 255] and sheet[54, 26].tolist() == [80, 80, 80]


def test_plots_hold_whatever_there_is():
    one = Point("only the paper has it", None, None, None, 0.7)
    nothing_but_a_value = Point("a very long label that has to be broken into several lines of it", 0.3)
    for content in (
        dots([one, nothing_but_a_value], "share"),
        curves([Curve("one", [Point(value=0.5, x=3)])], "y", "x"),
    ):
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape[1] == 960 and picture[0, 0].tolist() == [255, 255, 255]


def test_what_catkin_installs_holds_the_template_and_every_module(tmp_path):
    # as catkin's install step does, but into a folder of its own
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(tmp_path / "build")]
    subprocess.run([*command, "--build-lib", str(tmp_path / "lib")], cwd=DOCS.parent, check=True, capture_output=True)
    source, built = DOCS.parent / "src/grasp_learning", tmp_path / "lib/grasp_learning"
    kinds = ("**/*.py", "**/templates/*")
    wanted = {str(path.relative_to(source)) for kind in kinds for path in source.glob(kind)}
    assert {str(path.relative_to(built)) for kind in kinds for path in built.glob(kind)} == wanted
    assert "reporting/templates/report.html.j2" in wanted


# Words


@pytest.mark.parametrize(
    "figure, told",
    [
        (Figure(name="a", value=0.733, low=0.701, high=0.7644), "73.3 % (70.1 to 76.4 %)"),
        (Figure(name="a", value=0.733), "73.3 %"),
        (Figure(name="a"), "not measured"),
        (Figure(name="a", value=40287, unit="trials"), "40,287 trials"),
        (Figure(name="a", value=26.4, low=21, high=31.52, unit="tries"), "26.4 tries (21 to 31.5)"),
        (Figure(name="a", value=3725, unit="seconds"), "1 h 02 min"),
    ],
)
def test_numbers_are_told_with_unit_and_interval(figure, told):
    assert measured(figure) == told


def test_times_and_lists_are_told_in_words():
    assert [duration(value) for value in (3.21, 59.6, 61, 3659)] == ["3.2 s", "1 min 00 s", "1 min 01 s", "1 h 01 min"]
    assert moment("2026-03-04T06:06:07+01:00") == "2026-03-04 05:06 UTC" and moment("soon") == "soon"
    assert (listed(["a"]), listed(["a", "b"]), listed("abc")) == ("a", "a and b", "a, b and c")
    assert number(0.0805) == "8.1 %"


def test_the_documentation_says_the_same_of_the_simulator():
    text = " ".join((DOCS / "simulation.md").read_text().split())
    for title, paragraph in differences():
        assert f"**{title}.** {paragraph}" in text, title


# Curricula


def test_a_curriculum_is_told_as_a_table(tmp_path, capsys):
    stage = {"stage": 0, "trials": 100, "positives": 9, "seconds": {"collect": 61.0}}
    settings = {"stages": 1, "trials": [100]}
    state = {"format": 1, "written": "2026-03-04T05:06:07+00:00", "settings": settings, "stages": [stage]}
    (tmp_path / "curriculum.json").write_text(json.dumps(state))
    assert report.main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "9.0 % (4.8 to 16.2)" in out and "1 min 01 s" in out and "picture  none yet" in out
    (tmp_path / "curriculum.png").write_bytes(b"")
    report.main([str(tmp_path)])
    assert f"picture  {tmp_path / 'curriculum.png'}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content, told",
    [("{", "is not JSON"), ('{"format": 1, "stages": [3], "settings": {}}', "a stage is malformed")],
)
def test_a_damaged_curriculum_is_one_clear_line(tmp_path, content, told):
    (tmp_path / "curriculum.json").write_text(content)
    with pytest.raises(SystemExit) as end:
        report.main([str(tmp_path)])
    assert str(end.value.code).startswith("report: ") and told in end.value.code
