"""The verbs that look at a snapshot and hand it on. Each imports what it needs when it runs, so that `--help` is quick."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.snapshot.exports.targets import Target
from schemas.options import Build, Json, Snapshot, Work, local
from schemas.snapshot import find_alike, find_build, find_snapshot

PANEL = 'Look at a snapshot, hand it on'

verbs = typer.Typer()


@verbs.command(rich_help_panel=PANEL)
def show(folder: Build, json: Json = False) -> None:
    """Print what a build made: snapshots, the books, the judge's calibration, who answered, what it cost, and where to look next.

    Example: phantom show demo-out
    """
    from pipelines.look.show import show_build

    show_build(folder, as_json=json)


@verbs.command(rich_help_panel=PANEL)
def status(
    folder: Build,
    work: Work = None,
    why: Annotated[bool, typer.Option('--why', help='Tell also which tables the next run makes again, and why.')] = False,
    json: Json = False,
) -> None:
    """Tell how a build goes: which step, how far, how fast, time left, cost so far and projected, other processes of --shard, the last error.

    It reads files alone, so it may run on any machine that sees the folder, and changes nothing. Steps say how they go every few seconds.

    Examples:

        phantom status demo-out

        watch -n 30 phantom status /shared/out
    """
    from pipelines.look.status import tell_status

    tell_status(find_build(folder), work, as_json=json, why=why)


@verbs.command(rich_help_panel=PANEL)
def cost(folder: Build, work: Work = None, json: Json = False) -> None:
    """Tell what the calls of a build cost so far: requests, tokens and money of each step and model, and the seconds that steps took.

    From the ledger of its working folder, whether it is sealed or not; builds that share the folder share the ledger. Before a build:
    phantom preview, phantom build --dry-run.

    Example: phantom cost demo-out
    """
    from pipelines.look.spent import tell_spent

    tell_spent(find_build(folder), work, as_json=json)


@verbs.command(rich_help_panel=PANEL)
def verify(
    snapshot: Annotated[Path, typer.Argument(callback=local, help="A sealed snapshot, or a build's folder: every snapshot in it.")],
    signature: Annotated[Path | None, typer.Option('--signature', help='KEY.pub, or a file of allowed signers: it must be signed by one.')] = None,
    json: Json = False,
) -> None:
    """Check a snapshot through and through: manifest, card, files, identity, every row and picture; names file and row of each fault, exit code 1.

    Checksums show accidents. Whether somebody else wrote the snapshot only --signature shows (docs/manifest.md).

    Examples:

        phantom verify demo-out

        phantom verify received --signature publisher.pub
    """
    from pipelines.look.verify import verify_snapshot

    raise typer.Exit(verify_snapshot(snapshot, as_json=json, signature=signature))


@verbs.command(rich_help_panel=PANEL)
def seal(
    snapshot: Annotated[Path, typer.Argument(callback=local, help="A sealed snapshot, or a build's folder: every snapshot in it.")],
    sign: Annotated[Path, typer.Option('--sign', help='Your private SSH key (its public half where an agent holds it), or a minisign key.')],
) -> None:
    """Sign a sealed snapshot for those who get it from you: it is verified first, then manifest.json.sig lies beside its manifest.

    Example: phantom seal demo-out --sign ~/.ssh/id_ed25519
    """
    from pipelines.look.verify import sign_snapshot

    raise typer.Exit(sign_snapshot(snapshot, sign))


@verbs.command(rich_help_panel=PANEL)
def gallery(
    snapshot: Snapshot,
    port: Annotated[int, typer.Option(min=0, max=65535, help='Loopback port; 0 takes a free one.')] = 8012,
    export_to: Annotated[Path | None, typer.Option('--export', callback=local, help='Write the page as one folder instead of serving it.')] = None,
    limit: Annotated[int, typer.Option(min=1, help='With --export: at most this many kept and this many rejected rows, a sample by id hash.')] = 5000,
    replies: Annotated[Path | None, typer.Option('--replies', help='Reply store to show raw replies from; default: work/replies beside it.')] = None,
    work: Annotated[
        Path | None, typer.Option('--work', callback=local, help='Folder with rejected pictures; default: work beside it, with --export none.')
    ] = None,
    against: Annotated[Path | None, typer.Option('--against', help='An earlier snapshot or build: what changed since.')] = None,
) -> None:
    """Look at a snapshot in the browser: an overview, kept and rejected rows with pictures, scores, reasons and raw replies.

    Rejected pictures and benchmark items are in no snapshot: they are shown while the build's working folder and its sources are there.

    Examples:

        phantom gallery demo-out

        phantom gallery demo-out/triples --export demo-out/gallery

        phantom gallery demo-out --against before
    """
    if against is not None:
        against, snapshot = find_alike(against, snapshot)
    snapshot = find_snapshot(snapshot)  # before what takes seconds to import
    from pipelines.engine.locks import in_use
    from pipelines.engine.place import work_of
    from pipelines.look.gallery.serve import serve_gallery
    from pipelines.look.gallery.static import export_gallery

    with in_use(snapshot, work or work_of(snapshot.resolve().parent)):
        if export_to is None:
            serve_gallery(snapshot, port, replies, work, against)
            return
        counts = export_gallery(snapshot, export_to, limit=limit, replies=replies, work=work, against=against)
        print(f'{export_to}/index.html: {counts["kept"]:,} kept and {counts["rejected"]:,} rejected row(s), {counts["pictures"]:,} picture(s)')


@verbs.command(rich_help_panel=PANEL)
def explain(
    identifier: Annotated[str, typer.Argument(
        metavar='ID', help='Of an image (its first 8 digits do), a sample, a triple, a candidate or a reply; or an image reference.')],
    build: Annotated[Path, typer.Option('--build', help="A build's --out folder whose work/ is still there, or a snapshot in it.")],
    work: Work = None,
    png: Annotated[Path | None, typer.Option('--png', help='Where the pictures go; default BUILD/explain/ID.png.')] = None,
    json: Json = False,
) -> None:
    """Say why a picture or a sample is in the mix or out of it: star, distances, benchmark hits, and the pictures side by side; of a triple or a
    candidate who proposed it, what the judge said and what was decided.

    Examples:

        phantom explain "shapes/shapes/shapes.json#3/0" --build demo-out

        phantom explain "shapes/shapes/shapes.json#3/0/paper-0.0" --build demo-out
    """
    from pipelines.look.explain_json import explain_in

    explain_in(find_build(build), identifier, work, png, as_json=json)


@verbs.command(rich_help_panel=PANEL)
def audit(
    snapshot: Annotated[Path, typer.Argument(help='A sealed triples snapshot, or the folder of its build.')],
    n: Annotated[int, typer.Option('-n', min=1, help='Candidates to label, accepted and refused, from every source.')] = 200,
    out: Annotated[
        Path | None, typer.Option('--out', callback=local, help='New folder for audit.html and labels.csv; with --labels a JSON file to write.')
    ] = None,
    labels: Annotated[Path | None, typer.Option('--labels', help='The labelled CSV: report precision and recall of the judge.')] = None,
    compare: Annotated[Path | None, typer.Option('--compare', metavar='A', help='Another build, to hold its judge against this one.')] = None,
) -> None:
    """Measure the judge on real candidates: a page to label by hand, then its precision and recall from the labels.

    With --compare two judges, or two prompts of one, stand side by side on the planted cases that both were asked about, with --labels on those
    candidates, too: AUC, refusals, cost of a verdict, and whether these cases can show a difference. No model is asked. --out FILE writes it as JSON.

    Examples:

        phantom audit demo-out -n 200 --out demo-out/audit

        phantom audit demo-out --labels demo-out/audit/labels.csv

        phantom audit --compare before demo-out
    """
    from pipelines.look.audit import audit_judge
    from pipelines.look.compare_judges import compare_judges, print_compared

    if compare is not None:
        both = find_snapshot(compare, 'triples'), find_snapshot(snapshot, 'triples')
        print_compared(compare_judges(*both, labels), out)
    else:
        audit_judge(find_snapshot(snapshot, 'triples'), n, out, labels)


@verbs.command(rich_help_panel=PANEL)
def diff(
    a: Annotated[Path, typer.Argument(help="A sealed snapshot, or a build's folder.")],
    b: Annotated[Path, typer.Argument(help='Another: the same kind is compared, triples where both have them.')],
    json: Json = False,
) -> None:
    """Show what changed from snapshot A to B: rows added, removed, changed, and the reasons of what was left out.

    Example: phantom diff before demo-out
    """
    from pipelines.snapshot.diff import diff_snapshots, print_diff

    print_diff(diff_snapshots(*find_alike(a, b)), as_json=json)


@verbs.command(rich_help_panel=PANEL)
def export(
    snapshot: Snapshot,
    to: Annotated[Target, typer.Option('--to', help='Whose form it has; docs/handoff.md says how each is loaded.')],
    out: Annotated[Path, typer.Option('--out', callback=local, help='New folder; it appears when it is whole.')],
) -> None:
    """Write a snapshot in the form of another trainer; original image bytes, and a list of the rows its format cannot say.

    Example: phantom export demo-out --to trl --out demo-out/trl
    """
    snapshot = find_snapshot(snapshot)  # before what takes seconds to import
    from pipelines.engine.locks import in_use
    from pipelines.snapshot.exports.export import export_snapshot

    with in_use(snapshot):
        counts = export_snapshot(snapshot, to.value, out)
    print(f'{out}: {counts["rows"]:,} row(s) for {to.value}, {counts["left_out"]:,} left out; how to load them: {out}/README.md')


@verbs.command(rich_help_panel=PANEL)
def push(
    snapshot: Snapshot,
    repository: Annotated[str, typer.Argument(metavar='USER/NAME', help='The data set on the Hugging Face Hub; it is made if it is not there.')],
    private: Annotated[bool, typer.Option('--private', help='Make it private; one that is there and public is refused.')] = False,
    replace: Annotated[bool, typer.Option('--replace', help='Make it hold this snapshot alone; what it holds now stays in its history.')] = False,
    dry_run: Annotated[bool, typer.Option('--dry-run', help='Verify, and list files and bytes; the Hub is not asked.')] = False,
) -> None:
    """Put a sealed snapshot on the Hugging Face Hub: verified first, whole or not there, card and viewer as they are.

    Killed, run it again: what is stored there is not sent twice. The token is what `hf auth login` stored, or HF_TOKEN. Exit codes: 2 a mistake
    to mend, 4 what may pass (no network, too many requests).

    Examples:

        phantom push demo-out user/demo --dry-run

        phantom push demo-out/mix user/demo-mix --private
    """
    snapshot = find_snapshot(snapshot)  # before what takes seconds to import
    from pipelines.engine.locks import in_use
    from pipelines.snapshot.hub.push import push_snapshot

    with in_use(snapshot):
        print(push_snapshot(snapshot, repository, private=private, replace=replace, dry_run=dry_run))
