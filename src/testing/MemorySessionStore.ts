// A server's sessions in memory: what a made-up disk holds survives the server that wrote it. Reads and writes are held
// back, or fail, when a test says so.

import type { Entry } from '../session/entry.ts'
import { TEXT } from '../session/frames.ts'
import type { SessionHead, SessionStore, SessionWrite, StoredSession, WriteResult } from '../session/store.ts'
import { recordedTwice, refusePromise } from '../storage/outboxHead.ts'
import { StorageError } from '../storage/StorageError.ts'

interface Kept {
  readonly head: SessionHead
  epoch: number
  rx: number
  acked: number
  done: Set<number>
  numbered: Map<number, Entry>
  waiting: Map<number, Entry>
}

/** What stays when a server dies; several servers may share one. */
export class MemorySessionDisk {
  readonly sessions = new Map<string, Kept>()
  /** What transactions of handlers have recorded, in order: each is given this list to push to. */
  readonly effects: unknown[] = []

  /** A store on this disk. */
  store(): MemorySessionStore {
    return new MemorySessionStore(this)
  }
}

export class MemorySessionStore implements SessionStore {
  readonly #disk: MemorySessionDisk
  #held: (() => void)[] | undefined
  #failure: Error | undefined
  #closed = false

  constructor(disk: MemorySessionDisk = new MemorySessionDisk()) {
    this.#disk = disk
  }

  /** From now on nothing is read or written, until `release`. */
  hold(): void {
    this.#held ??= []
  }

  /** What is held back is done, in order. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const go of held) go()
  }

  /** From now on reads and writes fail; `undefined`: no more. */
  fail(error: Error | undefined): void {
    this.#failure = error
  }

  async find(sid: string): Promise<StoredSession | undefined> {
    return this.#do(() => {
      const kept = this.#disk.sessions.get(sid)
      return kept && toStored(kept)
    })
  }

  async write(sid: string, epoch: number, writes: readonly SessionWrite[]): Promise<WriteResult> {
    const copies = structuredClone(writes)
    return this.#do(() => {
      if (this.#isStale(sid, epoch, copies)) return 'stale'
      for (const write of copies) this.#record(sid, write)
      return 'stored'
    })
  }

  async *list(): AsyncIterable<StoredSession> {
    const all = await this.#do(() => [...this.#disk.sessions.keys()])
    for (const sid of all) {
      const found = await this.find(sid)
      if (found) yield found
    }
  }

  readonly transact = <T>(sid: string, number: number, run: (database: unknown) => T): T => {
    this.#needOpen()
    const kept = this.#disk.sessions.get(sid)
    if (!kept) throw new StorageError('the session of this message is over', { reason: 'conflict' })
    if (number <= kept.rx || kept.done.has(number)) throw recordedTwice(number)
    const before = [...this.#disk.effects]
    try {
      const result = refusePromise(run(this.#disk.effects))
      kept.done.add(number)
      return result
    } catch (error) {
      this.#disk.effects.splice(0, Infinity, ...before)
      throw error
    }
  }

  close(): void {
    this.#closed = true
  }

  #needOpen(): void {
    if (this.#closed) throw new StorageError('the session store is closed', { reason: 'closed' })
    if (this.#failure) throw this.#failure
  }

  async #do<T>(run: () => T): Promise<T> {
    if (this.#held) await new Promise<void>((resolve) => this.#held?.push(resolve))
    this.#needOpen()
    return run()
  }

  #isStale(sid: string, held: number, writes: readonly SessionWrite[]): boolean {
    const kept = this.#disk.sessions.get(sid)
    if (writes[0]?.kind === 'begin') return kept !== undefined
    if (!kept || kept.epoch > held) return true
    let highest = kept.epoch
    for (const write of writes) {
      if (write.kind !== 'epoch') continue
      if (write.epoch <= highest) return true
      highest = write.epoch
    }
    return false
  }

  #record(sid: string, write: SessionWrite): void {
    const { sessions } = this.#disk
    if (write.kind === 'begin') {
      sessions.set(sid, {
        head: write.session,
        epoch: 0,
        rx: 0,
        acked: 0,
        done: new Set(),
        numbered: new Map(),
        waiting: new Map(),
      })
      return
    }
    const kept = sessions.get(sid)
    if (!kept) return
    switch (write.kind) {
      case 'accept':
        kept.waiting.set(write.entry.seq, write.entry)
        return
      case 'drop':
        kept.waiting.delete(write.seq)
        return
      case 'number':
        kept.waiting.delete(write.entry.seq)
        kept.numbered.set(write.number, write.entry)
        return
      case 'void': {
        const entry = kept.numbered.get(write.number)
        if (entry) Object.assign(entry, { seq: 0, stream: TEXT, payload: '', bytes: 0 })
        return
      }
      case 'prune':
        kept.acked = Math.max(kept.acked, write.acked)
        for (const number of kept.numbered.keys()) if (number <= write.acked) kept.numbered.delete(number)
        return
      case 'rx':
        kept.rx = Math.max(kept.rx, write.rx)
        for (const number of kept.done) if (number <= write.rx) kept.done.delete(number)
        return
      case 'epoch':
        kept.epoch = write.epoch
        return
      case 'end':
        sessions.delete(sid)
    }
  }
}

function toStored({ head, epoch, rx, acked, done, numbered, waiting }: Kept): StoredSession {
  return structuredClone({
    session: {
      ...head,
      epoch,
      rx,
      done: [...done].sort((a, b) => a - b),
      acked,
      messages: [...numbered].sort(([a], [b]) => a - b).map(([, entry]) => entry),
    },
    waiting: [...waiting.values()],
  })
}
