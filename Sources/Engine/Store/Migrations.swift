// The schema of store.sqlite, as the steps that made it. A step that has been released is never edited; a new one is
// appended. A database with steps this version does not know is refused before anything is written.

import GRDB

package enum Migrations {
    package static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator().disablingDeferredForeignKeyChecks()
        migrator.registerMigration("1-deliveries") { try $0.execute(sql: first) }
        migrator.registerMigration("2-open-deliveries") { db in
            try db.execute(sql: openDeliveries)
            try LegacyDeliveries.convert(db)
        }
        RegistryMigration.register(in: &migrator)
        migrator.registerMigration("7-tallies") { try $0.execute(sql: TallyTable.schema) }
        migrator.registerMigration("8-pollers") { try $0.execute(sql: PollerTable.schema) }
        migrator.registerMigration("9-repairs") { try $0.execute(sql: RepairTable.schema) }
        migrator.registerMigration("10-failing-alerts") { try $0.execute(sql: MarkTable.alertSchema) }
        migrator.registerMigration("11-pending-by-kind") { try $0.execute(sql: pendingByKind) }
        migrator.registerMigration("12-failover-host") { try $0.execute(sql: failoverHost) }
        return migrator
    }()

    /// First attempts are found without those that have failed, and the other way round; 8191 is what
    /// `OpenTable.isFirst` has.
    private static let pendingByKind = """
        DROP INDEX open_by_due;
        CREATE INDEX open_by_kind ON open_delivery (log, endpoint, ((attempts & 8191) = 0), due, sequence)
            WHERE state = 2;
        """
    /// Host and port of the second URL, of attempts there. History has it too, see HistorySlice.
    private static let failoverHost = "ALTER TABLE open_attempt ADD COLUMN host TEXT"
    private static let first = """
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
        """

    /// Times are milliseconds since 1970; sequences and positions are the log's, as the same 64 bits.
    private static let openDeliveries = """
        CREATE TABLE log (
            number INTEGER PRIMARY KEY,
            identity INTEGER UNIQUE,            -- NULL until the log of a converted folder is known
            sequence INTEGER,                   -- the shared mark; NULL in a store that is new
            position INTEGER,
            rebuilt_sequence INTEGER,           -- where new endpoints begin at the first start after a rebuild
            rebuilt_position INTEGER,
            written INTEGER,                    -- store time of the last batch
            batch INTEGER NOT NULL DEFAULT 0    -- counts batches that wrote history; see HistorySlices
        );
        CREATE TABLE mark (
            log INTEGER NOT NULL,
            endpoint INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            position INTEGER NOT NULL,
            PRIMARY KEY (log, endpoint)
        ) WITHOUT ROWID;
        CREATE TABLE endpoint_state (
            log INTEGER NOT NULL,
            endpoint INTEGER NOT NULL,
            condition INTEGER NOT NULL,         -- EndpointCondition
            reason INTEGER NOT NULL,            -- EndpointReason
            since INTEGER NOT NULL,
            until INTEGER NOT NULL,
            last_failure INTEGER NOT NULL,
            last_success INTEGER NOT NULL,
            last_error TEXT NOT NULL,
            PRIMARY KEY (log, endpoint)
        ) WITHOUT ROWID;
        CREATE TABLE open_delivery (
            log INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            endpoint INTEGER NOT NULL,
            position INTEGER NOT NULL,
            state INTEGER NOT NULL,             -- DeliveryState: 2 pending, 3 dead
            attempts INTEGER NOT NULL,
            status INTEGER NOT NULL,
            result INTEGER NOT NULL,            -- DeliveryResult
            reason INTEGER,                     -- DeadLetterReason
            due INTEGER NOT NULL,
            updated INTEGER NOT NULL,
            total_micros INTEGER NOT NULL DEFAULT 0,
            connect_micros INTEGER NOT NULL DEFAULT 0,
            first_byte_micros INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (log, sequence, endpoint)
        ) WITHOUT ROWID;
        CREATE INDEX open_by_state ON open_delivery (log, state, sequence, endpoint);
        CREATE INDEX open_by_endpoint ON open_delivery (log, endpoint, state, sequence);
        CREATE INDEX open_by_due ON open_delivery (log, endpoint, due, sequence) WHERE state = 2;
        CREATE TABLE open_attempt (
            log INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            endpoint INTEGER NOT NULL,
            ended INTEGER NOT NULL,
            number INTEGER NOT NULL,
            status INTEGER NOT NULL,
            result INTEGER NOT NULL,
            system_error INTEGER NOT NULL,
            total_micros INTEGER NOT NULL,
            connect_micros INTEGER NOT NULL,
            first_byte_micros INTEGER NOT NULL,
            answer INTEGER,
            PRIMARY KEY (log, sequence, endpoint, ended, number)
        ) WITHOUT ROWID;
        CREATE TABLE answer (
            number INTEGER PRIMARY KEY,
            hash INTEGER NOT NULL,
            body BLOB NOT NULL,
            uses INTEGER NOT NULL DEFAULT 0     -- attempts that have it
        );
        CREATE INDEX answer_hash ON answer (hash);
        CREATE TRIGGER answer_used AFTER INSERT ON open_attempt WHEN new.answer IS NOT NULL BEGIN
            UPDATE answer SET uses = uses + 1 WHERE number = new.answer;
        END;
        CREATE TRIGGER answer_released AFTER DELETE ON open_attempt WHEN old.answer IS NOT NULL BEGIN
            UPDATE answer SET uses = uses - 1 WHERE number = old.answer;
            DELETE FROM answer WHERE number = old.answer AND uses = 0;
        END;
        """
}
