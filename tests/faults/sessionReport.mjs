// What a program's app saw, one line of JSON each, in a file that both programs append to. Written synchronously: what
// was said before a SIGKILL is there after it, and what happened first stands first.

import { openSync, readFileSync, writeSync } from 'node:fs'

/**
 * @param {string} file
 * @param {'client' | 'server'} who
 * @returns {(what: string, more?: object) => void}
 */
export function openReport(file, who) {
  const fd = openSync(file, 'a')
  return (what, more) => writeSync(fd, `${JSON.stringify({ who, what, ...more })}\n`)
}

/**
 * What this program had said in its earlier lives.
 * @param {string} file
 * @param {'client' | 'server'} who
 */
export function readReport(file, who) {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .filter((line) => line.who === who)
}

/** The options of a program: JSON, as its one argument. */
export const options = () => JSON.parse(process.argv[2] ?? '{}')

/** Calls `stop` when whoever started the program says a word. */
export function onWord(stop) {
  process.stdin.once('data', stop)
  process.stdin.unref()
}

/** A handler that takes its time: so a death may come between its work and the acknowledgement. */
export const aWhile = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 30))
