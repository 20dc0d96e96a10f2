"""Pictures in the chat, over a mock model: how they come into a message, what a request has
of them, where they are kept, and what an answer points at in them."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.chat_page import ChatPage, message_field, open_chat
from tests.web.drawn import house

SEES = {"vision": {"projector": "gemma3", "image_size": 896, "n_tokens": 256}}
FILE = {"name": "house.png", "mimeType": "image/png", "buffer": house()}

CONTENT = """() => Promise.all(mock.requests.at(-1).params.messages.map(
async ({ role, content }) => [
  role,
  typeof content === 'string' ? content : await Promise.all(content.map(async (part) =>
    part.type === 'text' ? part.text : [part.image_url.blob.type, part.image_url.blob.size])),
]))"""


@pytest.fixture
def chat(page: Page) -> ChatPage:
    return open_chat(page, info=SEES)


def sent(chat: ChatPage) -> Any:
    return chat.frame.evaluate(CONTENT)


def add(chat: ChatPage, *files: Any) -> None:
    chat.frame.locator(".tray-buttons input").first.set_input_files(list(files))


def row(chat: ChatPage) -> Locator:
    return chat.frame.get_by_role("list", name="Pictures of this message").get_by_role("img")


def bring(chat: ChatPage, how: str) -> None:
    """Pastes a picture, or drops one."""
    target, kind, field = {
        "paste": ("#message", "ClipboardEvent", "clipboardData"),
        "drop": ("main", "DragEvent", "dataTransfer"),
    }[how]
    data = json.dumps(b64encode(house()).decode())
    chat.frame.evaluate(
        f"""() => {{
          const {field} = new DataTransfer();
          const bytes = Uint8Array.from(atob({data}), (unit) => unit.charCodeAt(0));
          {field}.items.add(new File([bytes], 'house.png', {{ type: 'image/png' }}));
          document.querySelector({json.dumps(target)}).dispatchEvent(
            new {kind}({json.dumps(how)}, {{ {field}, bubbles: true, cancelable: true }}));
        }}"""
    )


def restore(chat: ChatPage, folder: Path, pictures: list[bytes]) -> None:
    """Opens a saved conversation of one question about pictures."""
    urls = [f"data:image/png;base64,{b64encode(picture).decode()}" for picture in pictures]
    turn = {"role": "user", "who": "You", "text": "What?", "pictures": urls, "parent": None}
    answer = {"role": "assistant", "who": "A", "text": "A house.", "parent": 0}
    turns = [{**one, "chosen": True, "cut": None} for one in (turn, answer)]
    path = folder / "restored.json"
    path.write_text(json.dumps({"format": "slmweb-conversation", "version": 1, "turns": turns}))
    chat.frame.get_by_role("button", name="Conversations").click()
    chat.frame.locator("dialog[open] input[type=file]").set_input_files(path)
    expect(chat.frame.locator(".turn.user")).to_have_count(1)


def test_a_model_without_eyes_shows_nothing_of_pictures_and_says_so(page: Page) -> None:
    chat = open_chat(page)
    expect(chat.frame.get_by_role("button", name="Add a picture")).to_be_hidden()
    bring(chat, "paste")
    expect(chat.frame.get_by_text("SmolLM2 sees no pictures; choose").first).to_be_visible()


def test_a_picture_goes_out_before_the_words_about_it(chat: ChatPage) -> None:
    add(chat, FILE)
    expect(row(chat)).to_have_count(1)
    expect(row(chat)).to_have_attribute("aria-label", "Picture 1 of 1")
    chat.ask("What is this?", "A house.")
    assert sent(chat) == [["user", [["image/png", len(house())], "What is this?"]]]
    expect(row(chat)).to_have_count(0)
    expect(chat.frame.locator(".turn.user").get_by_role("img")).to_have_count(1)
    # It stays in the conversation, and is the same Blob, which the engine knows again.
    chat.ask("And that?", "A lawn.")
    assert sent(chat)[0] == ["user", [["image/png", len(house())], "What is this?"]]
    assert chat.frame.evaluate(
        """mock.requests[0].params.messages[0].content[0].image_url.blob
           === mock.requests[1].params.messages[0].content[0].image_url.blob"""
    )
    assert chat.requests == []
    assert [line for line in chat.console if "Policy" in line] == []


def test_a_picture_alone_is_a_message(chat: ChatPage) -> None:
    send = chat.frame.get_by_role("button", name="Send")
    expect(send).to_be_disabled()
    add(chat, FILE)
    send.click()
    chat.answer("A house.")
    assert sent(chat) == [["user", [["image/png", len(house())]]]]


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_a_picture_is_pasted_and_dropped(chat: ChatPage, how: str) -> None:
    bring(chat, how)
    expect(row(chat)).to_have_count(1)
    expect(message_field(chat)).to_be_focused()
    assert chat.frame.evaluate("mock.unsaved")


def test_pictures_are_taken_away_by_the_keyboard(chat: ChatPage) -> None:
    add(chat, FILE, {**FILE, "buffer": house(64, 64)})
    expect(row(chat)).to_have_count(2)
    first = chat.frame.get_by_role("button", name="Remove picture 1")
    first.focus()
    chat.page.keyboard.press("Enter")
    expect(row(chat)).to_have_count(1)
    expect(first).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(row(chat)).to_have_count(0)
    expect(chat.frame.get_by_role("button", name="Add a picture")).to_be_focused()


def test_what_is_no_picture_is_refused_by_name(chat: ChatPage) -> None:
    add(chat, {"name": "not.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(chat.frame.get_by_text("not.png is no picture").first).to_be_visible()
    expect(row(chat)).to_have_count(0)
    add(chat, *[FILE] * 9)
    expect(chat.frame.get_by_text("at most 8 pictures").first).to_be_visible()
    expect(row(chat)).to_have_count(8)


def test_an_edited_question_keeps_its_pictures(chat: ChatPage) -> None:
    add(chat, FILE)
    chat.ask("What?", "A house.")
    chat.frame.get_by_role("button", name="Edit").click()
    field = chat.frame.get_by_role("textbox", name="Edit your message")
    field.fill("Which colour?")
    field.press("Control+Enter")
    chat.answer("Red.")
    assert sent(chat) == [["user", [["image/png", len(house())], "Which colour?"]]]


def test_an_edited_question_can_lose_a_picture(chat: ChatPage, tmp_path: Path) -> None:
    """One that no browser can decode, from a file that says that it is a picture."""
    restore(chat, tmp_path, [b"no picture", house()])
    shown = chat.frame.locator(".turn.user").get_by_role("img")
    edit = chat.frame.get_by_role("button", name="Edit")
    edit.click()
    chat.frame.get_by_role("button", name="Remove picture 1").click()
    expect(shown).to_have_count(1)
    expect(chat.frame.get_by_role("button", name="Remove picture 2")).to_be_focused()
    # Who thinks better of it has it back.
    chat.frame.get_by_role("button", name="Cancel").click()
    expect(shown).to_have_count(2)
    expect(chat.frame.get_by_role("button", name="Remove picture")).to_have_count(0)
    edit.click()
    chat.frame.get_by_role("button", name="Remove picture 1").press("Enter")
    chat.frame.get_by_role("textbox", name="Edit your message").press("Control+Enter")
    chat.answer("A house.")
    assert sent(chat) == [["user", [["image/png", len(house())], "What?"]]]
    expect(shown).to_have_count(1)


def test_only_a_model_that_sees_looks(chat: ChatPage, tmp_path: Path) -> None:
    for info, sentence in ((SEES, "Looking at the picture"), ({}, "Starting")):
        other = open_chat(chat.page, info=info)
        restore(other, tmp_path, [house()])
        other.send("Again?")
        other.answer("Yes.")
        other.frame.get_by_role("button", name="Edit").first.click()
        other.frame.get_by_role("textbox", name="Edit your message").press("Control+Enter")
        expect(other.frame.locator(".turn-status").last).to_have_text(sentence)


def test_what_could_not_be_saved_is_said(chat: ChatPage) -> None:
    add(chat, FILE)
    chat.ask("What?", "A house.")
    chat.frame.get_by_role("button", name="Conversations").click()
    chat.frame.evaluate(
        "() => { Blob.prototype.arrayBuffer = () => Promise.reject(new DOMException('moved')); }"
    )
    save = chat.frame.get_by_role("button", name="Save with all versions (JSON)")
    save.click()
    dialog = chat.frame.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("cannot be read any more")
    expect(save).to_be_focused()
    with chat.page.expect_download():
        dialog.get_by_role("button", name="Save as text (Markdown)").click()
    expect(dialog.get_by_role("alert")).to_have_count(0)


def test_a_saved_conversation_brings_its_pictures_back(chat: ChatPage, tmp_path: Path) -> None:
    add(chat, FILE)
    chat.ask("What?", "A house.")
    chat.frame.get_by_role("button", name="Conversations").click()
    with chat.page.expect_download() as download:
        chat.frame.get_by_role("button", name="Save with all versions (JSON)").click()
    path = tmp_path / "chat.json"
    download.value.save_as(path)
    [picture] = json.loads(path.read_text())["turns"][0]["pictures"]
    assert picture == f"data:image/png;base64,{b64encode(house()).decode()}"
    other = open_chat(chat.page, info=SEES)
    other.frame.get_by_role("button", name="Conversations").click()
    other.frame.locator("dialog[open] input[type=file]").set_input_files(path)
    expect(other.frame.locator(".turn.user").get_by_role("img")).to_have_count(1)
    other.ask("Again?", "Yes.")
    assert sent(other)[0] == ["user", [["image/png", len(house())], "What?"]]


def test_a_saved_picture_that_is_none_is_refused(chat: ChatPage, tmp_path: Path) -> None:
    turn = {"role": "user", "who": "You", "text": "x", "parent": None, "chosen": True, "cut": None}
    for picture in ("https://example.org/x.png", "data:text/html;base64,eA==", 7):
        path = tmp_path / "chat.json"
        saved = {
            "format": "slmweb-conversation",
            "version": 1,
            "turns": [{**turn, "pictures": [picture]}],
        }
        path.write_text(json.dumps(saved))
        chat.frame.get_by_role("button", name="Conversations").click()
        chat.frame.locator("dialog[open] input[type=file]").set_input_files(path)
        expect(chat.frame.get_by_role("dialog").get_by_role("alert")).to_contain_text("saved here")
        chat.frame.get_by_role("dialog").get_by_role("button", name="Close").click()


def test_what_an_answer_points_at_is_framed_in_the_picture(chat: ChatPage) -> None:
    add(chat, FILE)
    chat.ask("detect house", "<loc0410><loc0256><loc0922><loc0768> house")
    shown = chat.frame.locator(".turn.assistant .pointed").get_by_role("img")
    expect(shown).to_have_attribute("aria-label", "The picture with what was found in it: 1 house")
    expect(chat.frame.locator(".turn.assistant .prose")).to_have_text("1 house")
    chat.frame.wait_for_function("document.querySelector('.pointed canvas').width === 320")
    # On the frame's left edge, half way down, the line is light within dark.
    edge, inside = chat.frame.evaluate(
        """() => {
          const context = document.querySelector('.pointed canvas').getContext('2d');
          const at = (x, y) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
          return [at(80, 130), at(160, 130)];
        }"""
    )
    assert edge == [255, 255, 255]
    assert inside == [220, 90, 60]


HOUSE = "<loc0410><loc0256><loc0922><loc0768>"
OUTLINE = "".join(f"<seg{7 * code:03d}>" for code in range(16))
PIXELS = """() => {
  const context = document.querySelector('.pointed canvas').getContext('2d');
  const at = (x, y) => [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
  return [at(160, 130), at(90, 86)];
}"""


def outlining(page: Page, masks: bool) -> ChatPage:
    chat = open_chat(page, info={"vision": {**SEES["vision"], "masks": masks}})
    add(chat, FILE)
    return chat


def test_what_an_answer_outlines_is_shaded_in_its_box(page: Page) -> None:
    chat = outlining(page, masks=True)
    chat.ask("segment house", f"{HOUSE}{OUTLINE} house ; {HOUSE} wall")
    shown = chat.frame.locator(".turn.assistant .pointed").get_by_role("img")
    expect(shown).to_have_attribute(
        "aria-label", "The picture with what was found in it: 1 house (outlined), 2 wall"
    )
    expect(chat.frame.locator(".turn.assistant .prose")).to_have_text("1 house\n2 wall")
    chat.frame.wait_for_function(
        f"document.querySelector('.pointed canvas').width === 320 && ({PIXELS})()[0][0] !== 220"
    )
    middle, corner = chat.frame.evaluate(PIXELS)
    # The disc of the mock: half of the wall's colour shows through; the corner is outside.
    assert middle == pytest.approx([153, 135, 147], abs=2)
    assert corner == [220, 90, 60]
    assert chat.frame.evaluate("mock.outlined") == 1
    expect(chat.frame.locator(".turn.assistant .pointed .note")).to_have_count(0)


@pytest.mark.parametrize(("masks", "said"), [(False, "came without"), (True, "could not be drawn")])
def test_an_outline_that_cannot_be_drawn_leaves_its_box_and_a_sentence(
    page: Page, masks: bool, said: str
) -> None:
    chat = outlining(page, masks)
    chat.frame.evaluate("mock.outlines = false")
    chat.ask("segment house", f"{HOUSE}{OUTLINE} house")
    pointed = chat.frame.locator(".turn.assistant .pointed")
    expect(pointed.locator(".note")).to_contain_text(said)
    expect(pointed.get_by_role("img")).to_have_attribute(
        "aria-label", "The picture with what was found in it: 1 house"
    )
