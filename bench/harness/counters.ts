// An app that counts aloud: bursts of counters, handed to a library, each noted.

import type { Note } from './ledger.ts'

const BURST_EVERY_MS = 200
const BURST = 5

/**
 * @param from the counter before the first
 * @param send hands one over; a promise resolves when the library has it, and rejects when it has not
 * @param reachable whether there is anybody to send to
 * @returns what ends it
 */
export function talk(
  from: number,
  note: (note: Note, n: number) => void,
  send: (n: number) => Promise<unknown> | undefined,
  reachable: () => boolean = () => true,
): () => void {
  let n = from
  const timer = setInterval(() => {
    for (let left = 1 + Math.floor(Math.random() * BURST); left > 0 && reachable(); left -= 1) {
      n += 1
      const sent = n
      note('sending', sent)
      try {
        const pending = send(sent)
        if (pending === undefined) note('taken', sent)
        else {
          pending.then(
            () => note('taken', sent),
            () => note('told', sent),
          )
        }
      } catch {
        note('told', sent)
      }
    }
  }, BURST_EVERY_MS)
  return () => clearInterval(timer)
}
