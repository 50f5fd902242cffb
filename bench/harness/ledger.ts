// What an app noted of its messages, in a file, line by line and at once: it outlives the process that is killed.

import { openSync, readFileSync, writeSync } from 'node:fs'

export type Note =
  /** The app is about to hand the message over. */
  | 'sending'
  /** The library has it. */
  | 'taken'
  /** The library told the app that this message will not arrive, or may not. */
  | 'told'
  /** The app has handled it. */
  | 'handled'

export interface Noted {
  note: Note
  n: number
  /** Milliseconds since the epoch. */
  at: number
}

export function openLedger(file: string): (note: Note, n: number) => void {
  const descriptor = openSync(file, 'a')
  return (note, n) => {
    writeSync(descriptor, `${note} ${n} ${Date.now()}\n`)
  }
}

/** A line that its writer's death left unfinished does not count. */
export function readLedger(file: string): Noted[] {
  const lines = readFileSync(file, { encoding: 'utf8', flag: 'a+' }).split('\n')
  lines.pop()
  return lines.map((line) => {
    const [note, n, at] = line.split(' ')
    return { note: note as Note, n: Number(n), at: Number(at) }
  })
}
