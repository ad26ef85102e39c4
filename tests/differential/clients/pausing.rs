//! Scripts of CLIENT PAUSE: who is held up, and by what.

use super::assert_agree;

const SCRIPTS: &[(&str, &str)] = &[
    (
        "writes wait and reads do not",
        "A: CLIENT PAUSE 100000 WRITE
         B: GET x
         B: PING
         B| SET x 1
         C: GET x
         C| BLPOP list 0.01
         D: MULTI
         D: GET x
         D| SET x 2
         E: MULTI
         E: GET x
         E: EXEC
         F| PFCOUNT y
         G> GET x
         G> PING
         G| SORT z
         G< 2
         A: CLIENT UNPAUSE
         B<
         C<
         D<
         F<
         G<
         D: EXEC",
    ),
    (
        "the longer pause counts",
        "A: CLIENT PAUSE 100000 WRITE
         A: CLIENT PAUSE 1 WRITE
         B| SET x 1
         A: GET x
         A: CLIENT UNPAUSE
         B<
         A: CLIENT PAUSE 1 WRITE
         B: SET x 2
         A: CLIENT PAUSE 1
         B: GET x
         A: CLIENT PAUSE 0 ALL
         B: GET x",
    ),
    (
        "who is held up can be killed and has done nothing",
        "A: CLIENT PAUSE 100000 WRITE
         B| SET x 1
         A: CLIENT KILL ID {id:B}
         C| SET y 1
         C.
         A: CLIENT UNPAUSE
         A: EXISTS x y",
    ),
    (
        "wrong words",
        "A: CLIENT PAUSE x
         A: CLIENT PAUSE -1
         A: CLIENT PAUSE x y
         A: CLIENT PAUSE 1 WRITE x
         A: CLIENT UNPAUSE
         A: MULTI
         A: CLIENT PAUSE 100 WRITE
         A: CLIENT UNPAUSE
         A: SET x 1
         A: EXEC",
    ),
];

#[test]
fn requests_are_held_up_as_in_redis() {
    assert_agree(SCRIPTS, &[2, 3], &[]);
}
