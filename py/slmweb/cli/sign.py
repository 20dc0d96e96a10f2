"""`slmweb keygen`, `sign` and `verify`: who made a packed model, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import JsonOption, bytes_text, print_json, progress_bar

PackedFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="A packed model's folder.", show_default=False)
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb keygen -o release.key")(keygen)
    app.command(epilog="Example: slmweb sign dist/models/my-model --key release.key")(sign)
    app.command(epilog="Example: slmweb verify dist/models/my-model --key release.key.pub")(verify)


def keygen(
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            metavar="KEY",
            help="File of the private key; the public one gets .pub after the name.",
            show_default=False,
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Make an Ed25519 key pair to sign models with."""
    from ..pack.sign import generate_key, public_key_file

    key = generate_key(out)
    pub = public_key_file(out)
    if json:
        print_json(
            {"key": str(out), "public_key_file": str(pub), "public_key": key.base64, "id": key.id}
        )
    else:
        print(f"wrote {out} (keep it secret, and keep a copy) and {pub}, key {key.id}")
        print(f"for SLM.load(url, {{publicKey}}): {key.base64}")


def sign(
    folder: PackedFolder,
    key: Annotated[Path, typer.Option(metavar="KEY", help="The private key.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Sign a packed model's manifest, which names every byte of it."""
    from ..pack.manifest import read_manifest
    from ..pack.sign import SIGNATURE, read_private_key
    from ..pack.sign import sign as write

    private = read_private_key(key)
    read_manifest(folder)  # only what can be used is signed
    public = write(folder, private)
    if json:
        print_json({"signature": str(folder / SIGNATURE), "key_id": public.id})
    else:
        print(f"signed {folder} with the key {public.id}: {folder / SIGNATURE}")


def verify(
    folder: PackedFolder,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="PUB",
            help="The public key that must have signed it: its file, or what keygen printed.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Read a packed model back as a browser would, chunks, root, signature, and run it."""
    from ..pack.known_answer import check_pack
    from ..pack.pack import verify as read_back
    from ..pack.sign import SIGNATURE, read_public_key, verify_signature

    public = read_public_key(key) if key is not None else None
    if public is not None:
        verify_signature(folder, public)
    with progress_bar("verifying", "bytes") as progress:
        manifest = read_back(folder, progress)
    answers, known = manifest.known_answer, None
    if answers:
        with progress_bar("loading", "bytes") as progress:
            error = check_pack(folder, answers, progress)
        known = {"error": error, "bound": answers[0].bound, "arithmetic": answers[0].arithmetic}
    signed_by = public.id if public is not None else None
    if json:
        print_json(
            {
                "name": manifest.name,
                "version": manifest.version,
                "root": manifest.root,
                "size": manifest.size,
                "signed_by": signed_by,
                "known_answer": known,
            }
        )
        return
    chunks = sum(len(file.chunks) for file in manifest.files)
    print(f"{manifest.title}: {bytes_text(manifest.size)} in {chunks} chunks are whole")
    if known is None:
        print("there is no known answer to run it for; pack it again to have one")
    else:
        print(f"it computes its known answer: error {error:.1e}, bound {known['bound']:g}")
    if signed_by is not None:
        print(f"signed by the key {signed_by}")
    elif (folder / SIGNATURE).is_file():
        print("there is a signature, not checked: name the key that should have made it with --key")
    else:
        print("not signed")
