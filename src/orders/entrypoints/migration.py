"""`orders migrate`: bring the database to the form that this version needs.

Beside the container, so that no process that serves imports Beanie.
"""

from __future__ import annotations

from orders.adapters.mongo.form_migration import OldFormLeft
from orders.adapters.mongo.migration import CannotMigrate, wait_for_database
from orders.adapters.mongo.migration import migrate as migrate_database
from orders.adapters.mongo.stored_forms import StoredForm
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.settings.table import Settings


async def migrate(settings: Settings, *, wait_seconds: float = 0) -> None:
    """Create indexes, and bring the orders to the form that the settings name.

    It waits up to `wait_seconds` for the database to accept commands. It may be run again, and by
    several processes at once. It prints its progress.

    Raises:
        CommandFailed: If the database cannot be used, or processes with these settings would not
            see some of the orders.
    """
    uri, form = settings.mongo_uri, StoredForm(settings.stored_form)
    try:
        await wait_for_database(uri, seconds=wait_seconds, report=print)
        await migrate_database(uri, database=settings.database, stored_form=form, report=print)
    except (CannotMigrate, OldFormLeft) as error:
        raise CommandFailed(str(error)) from error
