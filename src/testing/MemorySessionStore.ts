// A server's session store that lives in memory and outlives the servers that a test kills: as durable as the object.

import type { Clock } from '../core/clock.ts'
import { CommsError } from '../core/errors.ts'
import type { Entry } from '../session/entry.ts'
import type { SessionStore, StoredSession, Write, WriteResult } from '../session/store.ts'

interface Kept {
  session: StoredSession['session']
  waiting: Entry[]
}

export interface MemorySessionStoreOptions {
  /** Milliseconds that every write takes; they follow each other. Without it a write is recorded before it returns. */
  readonly recording?: { readonly clock: Clock; readonly delayMs: number } | undefined
}

/** Where it all lies: survives `kill`. */
export class SessionDisk {
  readonly sessions = new Map<string, Kept>()
  /** What transactions of handlers have recorded, in order: each is given this list to push to. */
  readonly effects: unknown[] = []
  #owner: MemorySessionStore | undefined

  /** A store on this disk, for one server process. */
  store(options: MemorySessionStoreOptions = {}): MemorySessionStore {
    this.#owner = new MemorySessionStore(this, options)
    return this.#owner
  }

  /** The server's process dies: what it was still recording is lost. */
  kill(): void {
    this.#owner?.die()
  }
}

export class MemorySessionStore implements SessionStore {
  readonly #disk: SessionDisk
  readonly #options: MemorySessionStoreOptions
  #last: Promise<unknown> = Promise.resolve()
  #dead = false

  constructor(disk: SessionDisk, options: MemorySessionStoreOptions = {}) {
    this.#disk = disk
    this.#options = options
  }

  find(sid: string): StoredSession | undefined {
    const kept = this.#disk.sessions.get(sid)
    return kept && copyOf(kept)
  }

  write(sid: string, epoch: number, writes: readonly Write[]): WriteResult | Promise<WriteResult> {
    const { recording } = this.#options
    if (!recording) return this.#write(sid, epoch, writes)
    const copies = structuredClone(writes) as Write[]
    const { clock, delayMs } = recording
    const written = this.#last.then(
      () =>
        new Promise<WriteResult>((resolve) => {
          clock.setTimeout(() => {
            // Nobody is there to hear it.
            if (!this.#dead) resolve(this.#write(sid, epoch, copies))
          }, delayMs)
        }),
    )
    this.#last = written
    return written
  }

  *list(): Iterable<StoredSession> {
    for (const kept of this.#disk.sessions.values()) yield copyOf(kept)
  }

  transact<T>(sid: string, number: number, run: (database: unknown) => T): T {
    const kept = this.#disk.sessions.get(sid)
    if (this.#dead || !kept || kept.session.rx >= number || kept.session.done.includes(number))
      throw new CommsError('the message was recorded before, or its session is gone', { code: 'STORAGE' })
    const effects = this.#disk.effects.length
    try {
      const result = run(this.#disk.effects)
      kept.session = { ...kept.session, done: [...kept.session.done, number] }
      return result
    } catch (error) {
      this.#disk.effects.length = effects
      throw error
    }
  }

  close(): void {}

  /** Its process has died. */
  die(): void {
    this.#dead = true
  }

  #write(sid: string, epoch: number, writes: readonly Write[]): WriteResult {
    if (this.#dead) return 'stored'
    const before = this.#disk.sessions.get(sid)
    let kept = before && { session: { ...before.session }, waiting: [...before.waiting] }
    if (kept && kept.session.epoch > epoch) return 'stale'
    for (const write of writes) {
      if (write.kind === 'begin') {
        const { session } = write
        kept = { session: { ...session, epoch: 0, rx: 0, done: [], acked: 0, messages: [] }, waiting: [] }
        continue
      }
      if (!kept) return 'stale'
      if (write.kind === 'epoch' && write.epoch <= kept.session.epoch) return 'stale'
      if (write.kind === 'end') {
        this.#disk.sessions.delete(sid)
        return 'stored'
      }
      apply(kept, structuredClone(write) as Write)
    }
    if (kept) this.#disk.sessions.set(sid, kept)
    return 'stored'
  }
}

function apply(kept: Kept, write: Write): void {
  const { session } = kept
  switch (write.kind) {
    case 'accept':
      kept.waiting.push(write.entry)
      return
    case 'drop':
      kept.waiting = kept.waiting.filter(({ seq }) => seq !== write.seq)
      return
    case 'number':
      kept.waiting = kept.waiting.filter(({ seq }) => seq !== write.entry.seq)
      kept.session = { ...session, messages: [...session.messages, write.entry] }
      return
    case 'void': {
      const at = write.number - session.acked - 1
      const emptied = session.messages.map((entry, index) =>
        index === at ? { ...entry, seq: 0, stream: -1, payload: '', bytes: 0 } : entry,
      )
      kept.session = { ...session, messages: emptied }
      return
    }
    case 'prune':
      kept.session = {
        ...session,
        messages: session.messages.slice(write.acked - session.acked),
        acked: write.acked,
      }
      return
    case 'rx':
      kept.session = { ...session, rx: write.rx, done: session.done.filter((number) => number > write.rx) }
      return
    case 'epoch':
      kept.session = { ...session, epoch: write.epoch }
  }
}

function copyOf({ session, waiting }: Kept): StoredSession {
  return structuredClone({ session, waiting })
}
