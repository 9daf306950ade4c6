"""The sample database's definitions: what W&B's tables are made of, and what tends to get lost in a restore."""

from __future__ import annotations

TABLES = (
    """CREATE TABLE projects (
        id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        entity VARCHAR(64) NOT NULL,
        name VARCHAR(128) NOT NULL,
        description TEXT,
        UNIQUE KEY entity_name (entity, name)
    )""",
    """CREATE TABLE runs (
        id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        project_id INT UNSIGNED NOT NULL,
        name CHAR(8) CHARACTER SET ascii NOT NULL,
        display_name VARCHAR(255) NOT NULL,
        state ENUM('running','finished','crashed','failed') NOT NULL,
        tags SET('baseline','sweep','archived') NOT NULL DEFAULT '',
        config JSON NOT NULL,
        summary JSON,
        notes TEXT,
        loss FLOAT,
        score DOUBLE,
        cost DECIMAL(20,6),
        created_at DATETIME(6) NOT NULL,
        heartbeat_at TIMESTAMP NULL,
        learning_rate DOUBLE GENERATED ALWAYS AS (json_unquote(json_extract(config, '$.optimizer.lr'))) VIRTUAL,
        name_key VARCHAR(263) GENERATED ALWAYS AS (concat(name, ':', lower(display_name))) STORED,
        KEY by_rate (learning_rate),
        KEY by_key (name_key),
        CONSTRAINT of_project FOREIGN KEY (project_id) REFERENCES projects (id)
    )""",
    """CREATE TABLE history (
        run_id BIGINT NOT NULL,
        step INT NOT NULL,
        data MEDIUMBLOB NOT NULL,
        PRIMARY KEY (run_id, step)
    )""",
    """CREATE TABLE files (
        id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
        run_id BIGINT NOT NULL,
        path VARCHAR(512) NOT NULL,
        digest BINARY(16) NOT NULL,
        mark VARBINARY(32),
        flags BIT(12) NOT NULL,
        size BIGINT UNSIGNED NOT NULL,
        KEY by_run (run_id)
    )""",
    "CREATE TABLE audit (at DATETIME(3) NOT NULL, who VARCHAR(64), what TEXT, KEY by_time (at))",
    "CREATE TABLE run_counts (project_id INT UNSIGNED NOT NULL PRIMARY KEY, runs BIGINT NOT NULL)",
    "CREATE TABLE empty_queue (id INT NOT NULL PRIMARY KEY, job JSON)",
)

PROGRAMS = (
    """CREATE TRIGGER count_runs AFTER INSERT ON runs FOR EACH ROW
        INSERT INTO run_counts VALUES (NEW.project_id, 1) ON DUPLICATE KEY UPDATE runs = runs + 1""",
    """CREATE VIEW best_runs AS
        SELECT p.name AS project, r.display_name, r.score FROM runs r JOIN projects p ON p.id = r.project_id
        WHERE r.state = 'finished' AND r.score > 0.9""",
    """CREATE FUNCTION run_label(run BIGINT) RETURNS VARCHAR(300) READS SQL DATA
        RETURN (SELECT concat('🏃 ', display_name) FROM runs WHERE id = run)""",
    """CREATE PROCEDURE archive_runs(IN before_time DATETIME, OUT archived INT)
        BEGIN
            UPDATE runs SET tags = concat_ws(',', tags, 'archived') WHERE created_at < before_time;
            SET archived = row_count();
        END""",
    # Far away, so that it never changes the data that a test compares.
    """CREATE EVENT expire_audit ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01 03:00:00' ENABLE
        COMMENT 'keeps a year' DO DELETE FROM audit WHERE at < now() - INTERVAL 1 YEAR""",
)
