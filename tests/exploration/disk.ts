// What a store holds, and what each write makes of it: written down from the words of src/session/store.ts, apart from
// any store that ships. A wrong write is thrown: the machines must not emit one.

import type { Entry } from '../../src/session/entry.ts'
import type { SessionRecord, SessionWrite, Write } from '../../src/session/store.ts'

/** A session and the messages that have no number: what a client finds when it starts, what a server finds of a session. */
export interface Box {
  session: SessionRecord | undefined
  waiting: Entry[]
  /** With a fence: the node that found it last. */
  owner?: number | undefined
  /** The lease of that node has run out: whoever comes may have it. */
  free?: boolean
}

/** A server's sessions. */
export type Shelf = Record<string, Box>

export const emptyBox = (): Box => ({ session: undefined, waiting: [] })

/** The box with all of a batch recorded, as a new one; `undefined`: refused, all of it. */
export function allRecorded(box: Box, writes: readonly SessionWrite[]): Box | undefined {
  let after: Box | undefined = box
  for (const write of writes) after = after && (write.kind === 'took' ? after : recorded(after, write))
  return after
}

function recorded(box: Box, write: Write): Box | undefined {
  const { session, waiting } = box
  switch (write.kind) {
    case 'accept':
      return { session, waiting: [...waiting, { ...write.entry }] }
    case 'drop':
      return { session, waiting: waiting.filter(({ seq }) => seq !== write.seq) }
    case 'begin':
      return {
        session: { ...write.session, epoch: 0, rx: 0, done: [], acked: 0, messages: [] },
        waiting,
      }
  }
  if (!session || session.sid !== write.sid) return undefined
  switch (write.kind) {
    case 'number': {
      const { entry, number } = write
      if (number !== session.acked + session.messages.length + 1)
        throw new Error(`number ${number} leaves a gap`)
      return {
        session: { ...session, messages: [...session.messages, { ...entry }] },
        waiting: waiting.filter(({ seq }) => seq !== entry.seq),
      }
    }
    case 'void': {
      const messages = session.messages.map((entry, index) =>
        index === write.number - session.acked - 1
          ? { ...entry, seq: 0, stream: -1, payload: '', bytes: 0 }
          : entry,
      )
      return { session: { ...session, messages }, waiting }
    }
    case 'prune': {
      const gone = Math.max(0, write.acked - session.acked)
      return {
        session: { ...session, acked: session.acked + gone, messages: session.messages.slice(gone) },
        waiting,
      }
    }
    case 'rx':
      return { session: { ...session, rx: Math.max(session.rx, write.rx) }, waiting }
    case 'epoch':
      return write.epoch > session.epoch
        ? { session: { ...session, epoch: write.epoch }, waiting }
        : undefined
    case 'end': {
      const freed = write.requeue
        ? session.messages
            .filter(({ seq }) => seq !== 0)
            .map((entry) => ({ ...entry, priority: Number.MAX_SAFE_INTEGER, expiresAt: -1 }))
        : []
      return { session: undefined, waiting: [...freed, ...waiting] }
    }
  }
}
