"""``epochmark plot``: one chart as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._completion import complete_chart
from epochmark.cli._guard import described
from epochmark.cli._records import RunsArgument, WithOption, WorkloadOption

WIDTH = 720
"""Of the plotting area, in pixels."""


@described("""Draw one chart of the report into a file, without a browser.""")
def plot(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Which chart; --list shows all.",
            show_default=False,
            autocompletion=complete_chart,
        ),
    ] = None,
    runs: RunsArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.svg|png",
            help="The file to write; its suffix chooses the format.",
            show_default=False,
        ),
    ] = None,
    bundles: WithOption = None,
    workload: WorkloadOption = None,
    dark: Annotated[bool, typer.Option("--dark", help="Draw on a dark background.")] = False,
    list_charts: Annotated[bool, typer.Option("--list", help="List the charts.")] = False,
) -> None:
    from epochmark.api.reporting import subject, write_file
    from epochmark.cli._console import say
    from epochmark.cli._records import chosen_results
    from epochmark.cli._tables import print_rows
    from epochmark.errors import EpochmarkError, unknown
    from epochmark.report.charts import all_charts
    from epochmark.report.drawing import theme as themes
    from epochmark.report.render import require_drawing, to_png, to_svg

    charts = {chart.name: chart for chart in all_charts()}
    if list_charts:
        print_rows(("name", "chart"), [(chart.name, chart.title) for chart in charts.values()])
        return
    if name not in charts:
        if name is not None:
            raise unknown("chart", name, charts)
        raise EpochmarkError(f"name a chart; there are: {', '.join(charts)}", exit_code=2)
    if output is None or output.suffix not in (".svg", ".png"):
        raise EpochmarkError("name the file to write: -o FILE.svg or -o FILE.png", exit_code=2)
    require_drawing()
    chart, theme = charts[name], themes.dark(WIDTH) if dark else themes.light(WIDTH)
    drawing = chart.draw(subject(*chosen_results(runs, bundles, workload)), theme)
    if drawing is None:
        needs = f": {chart.needs}" if chart.needs else ""
        raise EpochmarkError(f"these records have nothing to show in the chart {name!r}{needs}")
    if output.suffix == ".svg":
        write_file(output, to_svg(drawing, theme, chart).encode())
    else:
        write_file(output, to_png(drawing, theme, chart))
    say(f"{chart.title}: {output}")
