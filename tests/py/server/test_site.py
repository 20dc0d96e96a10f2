"""What a site may say of itself, what is refused and how, and what becomes of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from slmweb.errors import SlmError
from slmweb.server.headers import shell_policy
from slmweb.server.icons import picture, read_icon
from slmweb.server.identity import page_identity, words
from slmweb.server.pages import PageCache
from slmweb.server.site import CONTRAST, DARK, LANGUAGES, LIGHT, Site, contrast, make_site

ROOT = Path(__file__).resolve().parents[3]
DIST = ROOT / "dist"
ICON = ROOT / "web/static/icon.svg"

TOML = """\
title = "Hafenklinik"
headline = "Fragen Sie vor dem Besuch."
examples = ["Was bringe ich mit?", "Wo ist die Anmeldung?"]
lang = "de"
icon = "klinik.png"
accent = "#005a9c"
"""


def pages(site: Site) -> PageCache:
    return PageCache(DIST / "web", DIST / "wasm", site=site)


def refused(**given: object) -> str:
    with pytest.raises(SlmError) as caught:
        make_site(**given)  # type: ignore[arg-type]
    assert caught.value.code in ("invalid_argument", "unreadable")
    return caught.value.message


def test_a_site_toml_and_options_make_one_site(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(TOML)
    (tmp_path / "klinik.png").write_bytes(picture(ICON.read_bytes(), 256))
    site = make_site(tmp_path / "site.toml", headline="Guten Tag.", lang=None, examples=[])
    assert (site.title, site.headline, site.lang) == ("Hafenklinik", "Guten Tag.", "de")
    assert site.examples == ("Was bringe ich mit?", "Wo ist die Anmeldung?")
    assert site.icon is not None
    assert site.accent is not None
    assert make_site() == Site()


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ('headine = "x"', "'headine'.*did you mean headline"),
        ("headline = 3", "headline is 3 instead of a text"),
        ('examples = "one"', "instead of a list"),
        ("headline = x", "is not TOML"),
        ('icon = "gone.png"', "cannot read the icon"),
        ("icon = 5", "instead of the path"),
    ],
)
def test_a_mistake_in_a_site_toml_is_one_sentence(tmp_path: Path, toml: str, sentence: str) -> None:
    (tmp_path / "site.toml").write_text(toml)
    assert re.search(sentence, refused(path=tmp_path / "site.toml"))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"headline": "x" * 121}, "121 characters; shorten it to 120"),
        ({"headline": " "}, "is empty"),
        ({"title": "a\nb"}, r"control character U\+000A"),
        ({"system_prompt": "a\x00b"}, r"U\+0000"),
        ({"examples": ["x"] * 9}, "9 examples; choose the 8 best"),
        ({"lang": "fr"}, "choose one of en, de, hi, ar"),
        ({"accent": "green"}, "'green' is not a colour; write it as #rrggbb"),
        ({"accent": "#fff;}"}, "is not a colour"),
        ({"accent": "#ffee00,#ffee00"}, r"#ffee00 has a contrast of 1\.\d on the light page"),
        ({"accent": "#00704f,#00704f"}, "on the dark page, where text needs 4.5; #"),
        ({"accent": "#000000,#ffffff,#000000"}, "one colour or two"),
    ],
)
def test_what_a_page_could_not_show_well_is_refused(
    given: dict[str, object], sentence: str
) -> None:
    assert re.search(sentence, refused(**given))


GUARD_TOML = """\
[guard]
model = "shieldgemma-2b"
screen = "prompts"
threshold = 1
policies = ["hate", {name = "Mine", text = "No recipes.", threshold = 0.25}]
"""


def test_a_guard_is_a_model_and_its_rules(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GUARD_TOML)
    told = page_identity(make_site(path))["guard"]
    mine = {"name": "Mine", "text": "No recipes.", "threshold": 0.25}
    assert told == {
        "model": "shieldgemma-2b",
        "policies": ({"name": "hate"}, mine),
        "threshold": 1.0,
        "screen": "prompts",
    }
    # An option names another model, and the rules stay.
    other = page_identity(make_site(path, guard="other-2b"))["guard"]
    assert other == {**told, "model": "other-2b"}
    assert page_identity(make_site(guard="other-2b"))["guard"] == {"model": "other-2b"}
    assert page_identity(make_site())["guard"] is None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("guard = 3", "instead of a model's name or a table"),
        ('guard = {model = "Not A Name"}', "instead of the name of a packed model"),
        ('guard = {model = "m", mode = "x"}', "the guard has 'mode'"),
        ('guard = {model = "m", screen = "all"}', "choose one of prompts, answers, both"),
        ('guard = {model = "m", threshold = 2}', "instead of a number from 0 to 1"),
        ('guard = {model = "m", threshold = true}', "instead of a number from 0 to 1"),
        ('guard = {model = "m", policies = []}', "instead of 1 to 64"),
        ('guard = {model = "m", policies = ["nonsense"]}', "'nonsense' is no built-in policy"),
        ('guard = {model = "m", policies = [{text = "x"}]}', "a policy needs a name"),
        ('guard = {model = "m", policies = [{name = "x", words = "y"}]}', "is no name and no"),
        ('guard = {model = "m", policies = [{name = "x", text = " "}]}', "is empty"),
    ],
)
def test_a_guard_that_makes_no_sense_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(line)
    assert sentence in refused(path=path)


@pytest.mark.parametrize("colour", ["#00704f", "#ffee00", "#101010", "#ffffff", "#7f7f7f", "#c00"])
def test_one_accent_is_readable_in_both_themes(colour: str) -> None:
    if len(colour) == 4:
        assert "#rrggbb" in refused(accent=colour)
        return
    accent = make_site(accent=colour).accent
    assert accent is not None
    assert contrast(accent[0], LIGHT) >= CONTRAST
    assert contrast(accent[1], DARK) >= CONTRAST
    if contrast(colour, LIGHT) >= CONTRAST:
        assert accent[0] == colour


def test_contrast_is_that_of_wcag() -> None:
    # The definition's own ends, and a pair that its guides list.
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_the_grounds_of_the_accent_are_those_of_the_style_sheet() -> None:
    sheet = (ROOT / "web/src/chat/base.css").read_text()
    assert f"--surface: light-dark({LIGHT}, {DARK});" in sheet


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{}</svg>'


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"GIF89a\xff\xfe", "neither a PNG nor an SVG"),
        (b"not xml", "no PNG, and as SVG no XML"),
        (b"<svg/>", "root is not <svg>"),
        (SVG.format("x" * (1 << 20)).encode(), "more than 1 MiB"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.format("").encode(), "DOCTYPE"),
        (SVG.format('<image href="https://a.test/x.png"/>').encode(), "loads 'https://a.test"),
        (SVG.format('<image href="/etc/passwd"/>').encode(), "loads '/etc/passwd'"),
        (SVG.format('<path fill="url(http://a.test)"/>').encode(), "loads 'http://a.test'"),
        (picture(ICON.read_bytes(), 256)[:-40], "damaged PNG"),
        (picture(ICON.read_bytes(), 64), "64x64 pixels; make it a square"),
    ],
)
def test_what_is_no_icon_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "icon").write_bytes(content)
    assert sentence in refused(icon=tmp_path / "icon")


def test_the_file_that_was_given_as_icon_is_never_published(tmp_path: Path) -> None:
    path = tmp_path / "icon.svg"
    path.write_text(SVG.format("<script>alert(1)</script><rect width='9' height='9'/>"))
    cache = pages(Site(icon=read_icon(path)))
    for content in [cache.index().body, *cache.made().values()]:
        assert b"alert(1)" not in content


def test_words_of_a_site_cannot_become_markup() -> None:
    evil = "\"'><script>alert(1)</script></iframe>&{{ 7*7 }}"
    site = Site(title=evil, headline=evil, intro=evil, examples=(evil,), system_prompt=evil)
    cache = pages(site)
    body = cache.index().body.decode()
    assert "<script>alert" not in body
    assert "</iframe>&" not in body
    assert "49" not in cache.site.name
    attribute = re.search(r'data-site="([^"]*)"', body)
    assert attribute is not None
    assert "<" not in attribute[1]
    assert "'" not in attribute[1]
    # The one script beside them is the sandbox's own, inside an attribute.
    assert body.count("<script") == 2  # early.js and shell.js
    assert "<script>alert" not in cache.error(404, evil)
    manifest = next(v for k, v in cache.made().items() if k.startswith("manifest-"))
    assert json.loads(manifest)["name"] == evil


def test_a_site_of_other_words_has_the_same_script_and_another_version() -> None:
    one, other = pages(Site()), pages(Site(headline="Other", accent=("#000000", "#ffffff")))
    assert one.current_hash() == other.current_hash()
    assert one.service_worker().body != other.service_worker().body


def test_the_installed_app_has_its_icons_name_and_a_start_that_works_below_a_path() -> None:
    cache = pages(Site(title="Hafenklinik", short_name="Klinik", lang="ar"))
    made = cache.made()
    name = next(name for name in made if name.startswith("manifest-"))
    assert re.fullmatch(r"manifest-[0-9a-f]{16}\.webmanifest", name)
    manifest = json.loads(made[name])
    assert (manifest["name"], manifest["short_name"]) == ("Hafenklinik", "Klinik")
    assert (manifest["lang"], manifest["dir"]) == ("ar", "rtl")
    # Relative to the manifest, which is in assets/.
    assert (manifest["start_url"], manifest["scope"]) == ("../", "../")
    for icon in manifest["icons"]:
        side = int(icon["sizes"].split("x")[0])
        png = made[icon["src"]]
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(png[16:20]) == side
    assert [icon.get("purpose") for icon in manifest["icons"]] == [None, None, "maskable"]
    index, worker = cache.index().body.decode(), cache.service_worker().body.decode()
    for file in made:
        assert f'"assets/{file}"' in worker
    for file in (name, next(n for n in made if n.startswith("apple-touch-icon-"))):
        assert f'href="assets/{file}"' in index
    assert 'lang="ar" dir="rtl"' in index
    assert "manifest-src 'self'" in shell_policy(None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_all_that_the_html_says(language: str) -> None:
    assert words(language).keys() == words("en").keys()
    assert all(text.strip() for text in words(language).values())
    index = pages(Site(lang=language)).index().body.decode()
    assert words(language)["noscript_title"] in index
    assert words(language)["to_chat"] in pages(Site(lang=language)).error(404, "x")


def test_the_languages_are_those_of_the_chat() -> None:
    source = (ROOT / "web/src/chat/language.ts").read_text()
    listed = re.search(r"LANGUAGES = \[(.*?)\]", source)
    assert listed is not None
    assert tuple(re.findall(r"'(\w+)'", listed[1])) == LANGUAGES


def test_the_page_is_told_what_the_protocol_says() -> None:
    source = (ROOT / "web/src/seal/protocol.ts").read_text()
    block = source.split("export interface Site {")[1].split("\n}")[0]
    assert set(page_identity(Site())) == set(re.findall(r"readonly (\w+):", block))


def test_the_headline_seen_before_the_chat_is_the_one_of_the_chat() -> None:
    own = pages(make_site(headline="घर का मॉडल <1>", lang="hi")).index().body.decode()
    before_the_frame = own.split("<iframe")[0]
    assert '<h1 dir="auto">घर का मॉडल &lt;1&gt;</h1>' in before_the_frame
    for language in LANGUAGES:
        strings = (ROOT / f"web/src/chat/strings/{language}.ts").read_text("utf-8")
        assert f"headline: '{words(language)['headline']}'," in strings
        plain = pages(make_site(lang=language)).index().body.decode().split("<iframe")[0]
        assert f"<h1>{words(language)['headline']}</h1>" in plain
        assert "early.js" not in plain


def test_without_a_language_the_page_has_the_words_of_each() -> None:
    before_the_frame = pages(Site()).index().body.decode().split("<iframe")[0]
    assert '<html lang="en" dir="ltr">' in before_the_frame
    assert '<script src="assets/early' in before_the_frame
    for language in LANGUAGES:
        for key in ("headline", "preparing_title", "preparing"):
            assert f'lang="{language}">{words(language)[key]}</' in before_the_frame
        assert f"<p>{words(language)['noscript']}</p>" in before_the_frame
    # The style sheet knows them too.
    style = (ROOT / "web/src/seal/shell.css").read_text()
    assert tuple(re.findall(r":root:lang\((\w+)\) \.words:not\(:lang\(\1\)\)", style)) == LANGUAGES


def test_a_page_is_the_chat_or_the_editor_and_nothing_of_the_other() -> None:
    chat, editor = pages(make_site()), pages(make_site(page="editor"))
    assert b"cm-content" not in chat.index().body
    assert b"cm-content" in editor.index().body
    assert chat.current_hash() != editor.current_hash()
    assert chat.service_worker() != editor.service_worker()
    assert 'title="Editor"' in editor.index().body.decode()
    assert refused(page="game") == "there is no page 'game'; choose chat, editor or inspect"
