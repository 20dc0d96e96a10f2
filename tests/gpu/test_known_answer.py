"""What a known answer catches: a right device stays far below its bound; a corrupted
byte on the way to the device and a shader that is a little wrong do not.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from slmweb.core import Instance, Model
from slmweb.pack import known_answer
from slmweb.pack.manifest import KnownAnswer
from slmweb.quantize import quantize
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import EMBEDDERS, TYPED_MODELS
from tests.goldens.tiny_pictures import VISIONS
from tests.gpu.core import GpuInstance
from tests.parity.test_pictures import converted

Gpu = Callable[[str], GpuInstance]


def gpu_error(core: GpuInstance, path: Path, answer: KnownAnswer) -> float:
    with Model.open(path, core=core) as model, model.session(64, 64) as session:
        if answer.layers is not None:
            model.consist_of(answer.layers)
        session.exact()
        logits = session.eval(answer.tokens)
        assert logits is not None
        return known_answer.error_of(answer, logits[-1])


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_gguf(TYPED_MODELS["Q4_K"].name, tmp_path_factory.mktemp("q4") / "model.gguf")
    return path


@pytest.fixture(scope="module")
def answer(path: Path) -> KnownAnswer:
    with Model.open(path, core=Instance("simd")) as model:
        return known_answer.compute(model)


def test_a_right_device(gpu: Gpu, path: Path, answer: KnownAnswer) -> None:
    assert gpu_error(gpu("lane"), path, answer) <= answer.bound / 5


def test_a_corrupted_byte(gpu: Gpu, path: Path, answer: KnownAnswer, tmp_path: Path) -> None:
    """The high byte of a block's scale, in a matrix that every token goes through."""
    content = bytearray(path.read_bytes())
    with Model.open(path, core=Instance("simd")) as model:
        tensor = next(t for t in model.info["tensors"] if t["name"] == "blk.0.ffn_down.weight")
    content[tensor["offset"] + 1] ^= 0x10
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(content)
    assert gpu_error(gpu("lane"), damaged, answer) > answer.bound


def test_answers_of_some_layers(gpu: Gpu, path: Path, tmp_path: Path) -> None:
    """As packs of models have them that the CPU's core has no room for."""
    answers = []
    for layers in ((0, 1), (1, 2)):
        with Model.open(path, layers=layers, core=Instance("simd")) as model:
            answers.append(known_answer.compute(model, layers))
    assert model.info["n_layer"] == 2
    content = bytearray(path.read_bytes())
    tensor = next(t for t in model.info["tensors"] if t["name"] == "blk.1.ffn_down.weight")
    content[tensor["offset"] + 1] ^= 0x10
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(content)
    core = gpu("lane")
    for answer in answers:
        assert gpu_error(core, path, answer) <= answer.bound / 5
        assert (gpu_error(core, damaged, answer) > answer.bound) == (answer.layers == (1, 2))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("-max(x, -80.0)", "-1.02 * max(x, -80.0)"),  # of silu
        ("params.epsilon", "0.01"),  # of a norm
    ],
)
def test_a_wrong_shader(
    script: Path, path: Path, answer: KnownAnswer, right: str, wrong: str
) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert gpu_error(core, path, answer) > answer.bound


def failed_checks(core: GpuInstance, path: Path, encoder: Path | None = None) -> list[str]:
    """The kinds of self-tests of a model, or of its encoder of pictures, that do not hold, without
    their sizes."""
    failed: list[str] = []
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(Model.open(path, core=core))
        count, of = "slm_check_count", model.handle
        if encoder is not None:
            count = "slm_vision_check_count"
            of = stack.enter_context(model.load_vision(encoder)).handle
        for i in range(core.check(count, of)):
            name = core.string(core.pointer("slm_check_name", model.handle, i))
            core.check("slm_check_start", model.handle, i)
            error = core.call("slm_check_error", model.handle)
            kind = re.split(r" \d", name)[0]
            if not error <= core.call("slm_check_bound") and kind not in failed:
                failed.append(kind)
    return failed


def changed_script(script: Path, right: str, wrong: str) -> Path:
    """What is bundled is text: a little of it is another."""
    text = script.read_text()
    assert right in text
    changed = script.with_name("wrong.mjs")
    changed.write_text(text.replace(right, wrong))
    return changed


def test_a_wrong_shader_that_a_known_answer_does_not_reach(script: Path, path: Path) -> None:
    """Its few tokens are never shared out among workgroups; the self-test of attention is."""
    merged = "total += partials[at + d] * factor"
    changed = changed_script(script, merged, "total += partials[at + d]")
    with closing(GpuInstance(changed)) as core:
        assert failed_checks(core, path) == ["attention"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("subtract + entry.add", "subtract"),  # biases
        ("left -= heated[drawn]", "left -= weights[drawn]"),
        ("a.y > b.y", "a.y < b.y"),  # of ties the lower id
        ("mass >= sampling.top_p", "mass >= 0.9 * sampling.top_p"),
    ],
)
def test_a_wrong_shader_of_drawing(script: Path, path: Path, right: str, wrong: str) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, path) == ["drawing"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("subgroupShuffleXor(sum.x, apart)", "subgroupShuffleXor(sum.x, 1u)"),
        ("lane / LANES * (LANES / size)", "lane / LANES"),
    ],
)
def test_a_wrong_shader_that_shuffles(script: Path, path: Path, right: str, wrong: str) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong), "subgroup")) as core:
        assert failed_checks(core, path) == ["matvec Q4_K", "glu Q4_K"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("sum16(low), sum16(high)", "sum16(low), sum16(low)"),
        ("127.0 / most,", "126.0 / most,"),
        ("let scale = most / 127.0", "let scale = most / 126.0"),
    ],
)
def test_a_wrong_shader_that_rounds(script: Path, tmp_path: Path, right: str, wrong: str) -> None:
    """Its rounding is known, so that a hundredth more or less shows all the same."""
    (path,) = write_gguf(TYPED_MODELS["Q5_K"].name, tmp_path / "model.gguf")
    with closing(GpuInstance(changed_script(script, right, wrong), "dot8")) as core:
        assert failed_checks(core, path) == ["matvec Q5_K", "glu Q5_K"]


def names_of(core: GpuInstance, path: Path) -> list[str]:
    with Model.open(path, core=core) as model:
        count = core.check("slm_check_count", model.handle)
        return [core.string(core.pointer("slm_check_name", model.handle, i)) for i in range(count)]


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recurrent")
    (whole,) = write_gguf("recurrentgemma", folder / "whole.gguf")
    quantize(whole, folder / "model.gguf", type="Q8_0")
    return folder / "model.gguf"


@pytest.mark.parametrize("form", ["lane", "sweep", "dot8", "subgroup"])
def test_recurrent_layers_prove_themselves(gpu: Gpu, recurrent: Path, form: str) -> None:
    core = gpu(form)
    assert "recurrence Q8_0" in names_of(core, recurrent)
    assert failed_checks(core, recurrent) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("if (batch.past + t != 0u)", "if (t != 0u)"),  # the state of the batch before
        ("one_less_exp(2.0 * log_a)", "one_less_exp(log_a)"),
        ("memory[params.at + j * params.width + channel] = inputs[j]", "memory[0] = inputs[j]"),
        ("sum += vectors[taps + j] * inputs[j]", "sum += vectors[taps + j] * inputs[before - j]"),
        ("row / columns * columns", "0u"),  # which block a row sees
        ("y[(first + t) * params.y_stride + row] = sums[t]", "y[first + row] = sums[t]"),
    ],
)
def test_a_wrong_shader_of_recurrent_layers(
    script: Path, recurrent: Path, right: str, wrong: str
) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, recurrent) == ["recurrence Q8_0"]


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_gguf("gemma3n", tmp_path_factory.mktemp("streams") / "model.gguf")
    return path


def test_several_residuals_prove_themselves(gpu: Gpu, streams: Path, recurrent: Path) -> None:
    assert "streams" in names_of(gpu("sweep"), streams)
    assert "streams" not in names_of(gpu("sweep"), recurrent)
    for form in ("lane", "sweep"):
        assert failed_checks(gpu(form), streams) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("sqrt(wanted / max(found, params.least))", "sqrt(wanted / max(wanted, params.least))"),
        ("c + mixed(at + 8u,", "c + mixed(at + 4u,"),
        ("(1.0 + coefficients[at + 3u]) * innovation", "coefficients[at + 3u] * innovation"),
        ("vectors[params.scale / 4u + column]", "vectors[params.scale / 4u]"),
        ("mean + params.cut * sqrt(", "mean + 0.98 * params.cut * sqrt("),
    ],
)
def test_a_wrong_shader_of_residuals(script: Path, streams: Path, right: str, wrong: str) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, streams) == ["streams"]


@pytest.mark.parametrize("name", EMBEDDERS)
def test_what_makes_rows_one_proves_itself(gpu: Gpu, tmp_path: Path, name: str) -> None:
    (path,) = write_gguf(name, tmp_path / "model.gguf")
    assert "rows to one" in names_of(gpu("sweep"), path)
    assert failed_checks(gpu("sweep"), path) == []


def test_a_model_that_writes_has_no_such_rows(gpu: Gpu, recurrent: Path) -> None:
    assert "rows to one" not in names_of(gpu("sweep"), recurrent)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(x[row + i] - mean) * factor", "x[row + i] * factor"),
        ("dot(off, off)", "dot(off, vec4<f32>(1.0))"),
        ("+ vectors[params.bias / 4u + i]", ""),
        ("exp(-z * z)", "exp(-z)"),
        ("max(v, vec4<f32>(0.0)) -", "v -"),
        ("sum / f32(params.count)", "sum"),
        ("(params.first + i) * params.stride", "params.first * params.stride"),
    ],
)
def test_a_wrong_shader_of_an_encoder(script: Path, tmp_path: Path, right: str, wrong: str) -> None:
    (path,) = write_gguf("bert", tmp_path / "model.gguf")
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, path) == ["rows to one"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.mark.parametrize("name", ["gemma3-pictures", "gemma4-pictures", "paligemma", "smolvlm"])
def test_encoders_of_pictures_prove_themselves(gpu: Gpu, pictures: Path, name: str) -> None:
    text, encoder = converted(pictures, VISIONS[name])
    assert failed_checks(gpu("sweep"), text, encoder) == []


@pytest.mark.parametrize(
    ("name", "right", "wrong", "failed"),
    [
        ("smolvlm", "(at % 4u * 8u)", "8u", "picture"),
        ("smolvlm", "* params.width + x) * 3u + colour", "* params.width + x) * 3u", "picture"),
        ("smolvlm", "row % merged * params.factor + i", "row % merged + i", "picture"),
        ("gemma3-pictures", "out[at] = sum / f32(many)", "out[at] = sum", "picture"),
        ("smolvlm", "gelu(v.x), gelu(v.y)", "gelu(v.x), gelu(v.x)", "picture"),
        ("paligemma", "(x[row + i] - mean) * factor", "x[row + i] * factor", "picture"),
        ("paligemma", "token + 1u + params.ahead", "token + 1u", "attention"),
        ("gemma4-pictures", "part * params.pairs + d %", "d %", "attention"),
    ],
)  # fmt: skip
def test_a_wrong_shader_of_pictures(
    script: Path, pictures: Path, name: str, right: str, wrong: str, failed: str
) -> None:
    text, encoder = converted(pictures, VISIONS[name])
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, text, encoder) == [failed]


def test_queries_that_sharpen_with_their_position_prove_themselves(
    gpu: Gpu, script: Path, tmp_path: Path
) -> None:
    """Ministral 3's, which texts as short as the self-test's do not show at its own span."""
    (path,) = write_gguf("mistral3", tmp_path / "model.gguf")
    assert failed_checks(gpu("sweep"), path) == []
    with closing(GpuInstance(changed_script(script, "log(1.0 + spans)", "log(1.0)"))) as core:
        assert failed_checks(core, path) == ["attention"]


@pytest.fixture(scope="module")
def convolving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_gguf("lfm2", tmp_path_factory.mktemp("convolving") / "model.gguf")
    return path


def test_convolutions_between_gates_prove_themselves(gpu: Gpu, convolving: Path) -> None:
    assert names_of(gpu("sweep"), convolving).count("convolution") == 1
    assert failed_checks(gpu("sweep"), convolving) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("inputs[before] *= x[at];", "inputs[before] *= x[at + params.width];"),
        ("sum * gate", "sum"),
        ("x[at + params.first]", "x[at]"),
        ("memory[params.at + j * params.width + channel] = inputs[j]", "memory[0] = inputs[j]"),
        ("0.0, batch.past == 0u)", "0.0, batch.past != 0u)"),  # where a text begins
    ],
)
def test_a_wrong_shader_of_convolutions(
    script: Path, convolving: Path, right: str, wrong: str
) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, convolving) == ["convolution"]


@pytest.fixture(scope="module")
def delta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_gguf("qwen35", tmp_path_factory.mktemp("delta") / "model.gguf")
    return path


def test_a_delta_rule_proves_itself(gpu: Gpu, delta: Path) -> None:
    assert {"convolution", "delta rule"} <= set(names_of(gpu("sweep"), delta))
    assert failed_checks(gpu("sweep"), delta) == []


@pytest.mark.parametrize(
    ("right", "wrong", "failed"),
    [
        # Of the batch before.
        ("first + i < width && batch.past != 0u", "first + i < width && batch.past == 0u",
         "delta rule"),
        ("head % params.n_head_k * width", "0u", "delta rule"),
        ("token.left * sum * token.key", "sum * token.key", "delta rule"),
        ("* token.query;", ";", "delta rule"),
        ("params.behind == 0u", "params.behind == 1u", "delta rule"),
        ("x[at] /= 1.0 + exp(-max(gate[at], -80.0))", "x[at] *= gate[at]", "delta rule"),
        ("second[group.y * params.stride + column] = x[at + params.head_dim]",
         "second[group.y * params.stride + column] = x[at]", "delta rule"),
        ("sum = silu(sum)", "sum = gelu(sum)", "convolution"),
    ],
)  # fmt: skip
def test_a_wrong_shader_of_a_delta_rule(
    script: Path, delta: Path, right: str, wrong: str, failed: str
) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, delta) == [failed]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = write_gguf("granitehybrid", tmp_path_factory.mktemp("space") / "model.gguf")
    return path


def test_a_state_space_proves_itself(gpu: Gpu, space: Path) -> None:
    assert {"convolution", "state space"} <= set(names_of(gpu("sweep"), space))
    assert failed_checks(gpu("sweep"), space) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("&& batch.past != 0u)", "&& batch.past == 0u)"),  # the state of the batch before
        ("head / params.in_group * params.n_state", "0u"),
        ("(gate.x * x)", "x"),
        ("var y = skip * x", "var y = 0.0"),
        ("y += parts[side + i]", "y = parts[side + i]"),
        ("let first = group.x * quads", "let first = 0u"),  # of the gated norm
        ("group.x * params.weight_step", "0u"),
        ("return gate / (1.0", "return 1.0 / (1.0"),
    ],
)
def test_a_wrong_shader_of_a_state_space(script: Path, space: Path, right: str, wrong: str) -> None:
    with closing(GpuInstance(changed_script(script, right, wrong))) as core:
        assert failed_checks(core, space) == ["state space"]
