// The schema, as the steps that made it. A step that has been released is never edited; a new one is appended. A
// database with steps this version does not know is refused before anything is written.

import GRDB

package enum Migrations {
    package static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1-deliveries") { db in
            try db.execute(
                sql: """
                    CREATE TABLE endpoint (
                        number INTEGER PRIMARY KEY AUTOINCREMENT,
                        name TEXT NOT NULL UNIQUE,
                        sequence INTEGER NOT NULL,          -- first event whose fate is not in `delivery`
                        position INTEGER NOT NULL,
                        stop INTEGER,                       -- EndpointStop
                        stopped INTEGER NOT NULL DEFAULT 0, -- milliseconds since 1970
                        removed INTEGER NOT NULL DEFAULT 0
                    );
                    CREATE TABLE delivery (
                        key INTEGER PRIMARY KEY,            -- endpoint << 48 | sequence
                        position INTEGER NOT NULL,
                        state INTEGER NOT NULL,             -- DeliveryState: 1 delivered, 2 pending, 3 dead
                        attempts INTEGER NOT NULL,
                        status INTEGER NOT NULL,            -- of the last answer, 0 without one
                        result INTEGER NOT NULL,            -- DeliveryResult of the last attempt
                        reason INTEGER,                     -- DeadLetterReason
                        due INTEGER,                        -- milliseconds since 1970, pending rows only
                        updated INTEGER NOT NULL
                    );
                    CREATE INDEX delivery_due ON delivery (key >> 48, due, key) WHERE state = 2;
                    CREATE INDEX delivery_open ON delivery (key, state) WHERE state <> 1;
                    CREATE TABLE clock (written INTEGER);
                    INSERT INTO clock (written) VALUES (NULL);
                    """)
        }
        return migrator
    }()
}
