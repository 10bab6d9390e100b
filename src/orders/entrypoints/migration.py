"""`orders migrate`: bring the database to the form that this version needs.

Beside the container, so that no process that serves imports Beanie.
"""

from __future__ import annotations

from orders.adapters.mongo.form_migration import OldFormLeft
from orders.adapters.mongo.schema import migrate as migrate_database
from orders.adapters.mongo.stored_forms import StoredForm
from orders.entrypoints.failures import CommandFailed
from orders.entrypoints.settings.table import Settings


async def migrate(settings: Settings) -> None:
    """Create indexes, and bring the orders to the form that the settings name.

    It may be run again, and by several processes at once. It prints its progress.

    Raises:
        CommandFailed: If processes with these settings would not see some of the orders.
    """
    form = StoredForm(settings.stored_form)
    try:
        await migrate_database(
            settings.mongo_uri, database=settings.database, stored_form=form, report=print
        )
    except OldFormLeft as error:
        raise CommandFailed(str(error)) from error
