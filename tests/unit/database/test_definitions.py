"""What of a definition may differ in an equal database, and which versions write one in one way."""

from __future__ import annotations

import pytest

from wbagent.database.definitions import comparable, same_text

TABLE = """CREATE TABLE `runs` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `name` varchar(9){} COLLATE utf8mb4_bin DEFAULT ' AUTO_INCREMENT=3',
  PRIMARY KEY (`id`),
  CONSTRAINT `of_project` FOREIGN KEY (`id`) REFERENCES {}`projects` (`id`)
) ENGINE=InnoDB{} DEFAULT CHARSET=utf8mb4"""


def test_the_counter_the_own_name_and_an_implied_character_set_make_no_difference() -> None:
    plain = comparable(TABLE.format("", "", ""), ["w"])
    assert comparable(TABLE.format(" CHARACTER SET utf8mb4", "`w`.", " AUTO_INCREMENT=41"), ["w"]) == plain
    assert "DEFAULT ' AUTO_INCREMENT=3'" in plain
    assert comparable(TABLE.format("", "`other`.", ""), ["w"]) != plain
    # A character set that is not the collation's own is something else.
    assert comparable(TABLE.format(" CHARACTER SET latin1", "", ""), ["w"]) != plain


def test_keys_may_have_been_added_in_another_order() -> None:
    text = TABLE.format("", "", "")
    lines = text.split("\n")
    swapped = "\n".join([*lines[:3], f"  {lines[4].strip()},", lines[3].removesuffix(","), *lines[5:]])
    assert swapped != text
    assert comparable(swapped, []) == comparable(text, [])
    columns = "\n".join([lines[0], lines[2], lines[1], *lines[3:]])
    assert comparable(columns, []) != comparable(text, [])
    assert comparable(text.replace("KEY (`id`)", "KEY (`name`)"), []) != comparable(text, [])


def test_a_body_may_name_the_database_that_it_was_made_in() -> None:
    body = "CREATE VIEW `v` AS select `w`.`a`.`x` from `w`.`a`"
    assert comparable(body, ["restored", "w"]) == comparable(body.replace("`w`.", "`restored`."), ["restored", "w"])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((9, 7, 4), (9, 7, 4), True),
        ((9, 7, 4), (9, 7, 9), True),
        ((8, 4, 3), (8, 4, 6), True),
        ((8, 4, 3), (9, 7, 4), False),
        ((8, 0, 18), (8, 0, 19), False),
        ((8, 0, 40), (8, 0, 40), True),
        ((5, 7, 44), (8, 4, 0), False),
    ],
)
def test_versions_that_write_the_same(one: tuple[int, int, int], other: tuple[int, int, int], same: bool) -> None:
    assert same_text(one, other) is same
    assert same_text(other, one) is same


def test_a_server_that_folds_the_name() -> None:
    """Its own spelling is not that of the connection string."""
    view = "CREATE VIEW `v` AS select `{}`.`t`.`id` AS `id` from `{}`.`t`"
    assert comparable(view.format("wandb", "wandb"), ["WandB"]) == comparable(view.format("copy", "copy"), ["Copy"])
