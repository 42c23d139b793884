"""``epochmark board``: run a board, a web service to which results are sent."""

from __future__ import annotations

from epochmark.cli._program import add_commands, group
from epochmark.cli.commands.boards import decisions, files, serve

app = group("Run a board: a web service that takes results of many.", decisions.held)
add_commands(
    app,
    {
        "serve": serve.serve,
        "held": decisions.held,
        "show": decisions.show,
        "hold": decisions.hold,
        "hide": decisions.hide,
        "release": decisions.release,
        "ban": decisions.ban,
        "unban": decisions.unban,
        "import": files.import_file,
        "dump": files.dump,
        "rederive": files.rederive,
    },
)
