// What programs of a fleet saw, a line each, in one file that all append to. Written at once: what was said before a SIGKILL is
// there after it, and what happened first stands first.

import { openSync, writeSync } from 'node:fs'

const fd = openSync(process.env.REPORT, 'a')

/** @param {...(string | number)} words */
export const say = (...words) => {
  writeSync(fd, `${words.join(' ')}\n`)
}
