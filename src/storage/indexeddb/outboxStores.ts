// The object stores of an outbox, and what each write does to them. A transaction ends when nothing is asked of it for a
// turn: what is awaited here are its own requests alone.

import { type IDBPDatabase, type IDBPTransaction, openDB, unwrap } from 'idb'
import { type Entry, NEVER } from '../../session/entry.ts'
import { TEXT } from '../../session/frames.ts'
import type { OutboxRecord, SessionHead, SessionRecord, Write } from '../../session/store.ts'
import { StorageError } from '../StorageError.ts'

/** A message as it is kept; those that wait follow each other by `place`. */
interface Kept extends Entry {
  readonly place: number
}

export type Head = Omit<SessionRecord, 'done' | 'messages'>
export type Transaction = IDBPTransaction<unknown, string[], 'readwrite'>

/**
 * Object stores: the session under the key 0 and its owner under `OWNER`; messages by number; messages by seq;
 * [sid, number] of what was handled.
 */
export const OWN = ['guru-session', 'guru-numbered', 'guru-waiting', 'guru-done'] as const
export const OWNER = 'owner'
export const GIVEN_UP = 'AbortError'
export const [SESSION, NUMBERED, WAITING, DONE] = OWN

/** Where messages wait. */
export interface Places {
  /** The `seq` of all that may wait; some may have been recorded as gone. Saves a request for each that never waited. */
  readonly waiting: Set<number>
  /** Places before and behind all that were ever given. */
  before: number
  behind: number
}

/** Records one write; awaits nothing but requests of the transaction, which would end otherwise. */
export function record(
  transaction: Transaction,
  places: Places,
  session: Head | undefined,
  write: Write,
): Head | undefined | Promise<Head | undefined> {
  const numbered = plain(transaction, NUMBERED)
  const waiting = plain(transaction, WAITING)
  switch (write.kind) {
    case 'accept':
      places.waiting.add(write.entry.seq)
      waiting.put(keep(write.entry, places.behind), write.entry.seq)
      places.behind += 1
      return session
    case 'drop':
      if (places.waiting.has(write.seq)) waiting.delete(write.seq)
      return session
    case 'number':
      if (places.waiting.has(write.entry.seq)) waiting.delete(write.entry.seq)
      numbered.put(keep(write.entry, 0), write.number)
      return session
    case 'void':
      return empty(transaction, write.number).then(() => session)
    case 'prune':
      numbered.delete(IDBKeyRange.upperBound(write.acked))
      return session && { ...session, acked: write.acked }
    case 'rx':
      plain(transaction, DONE).delete(IDBKeyRange.bound([write.sid, 0], [write.sid, write.rx]))
      return session && { ...session, rx: Math.max(session.rx, write.rx) }
    case 'epoch':
      return session && { ...session, epoch: write.epoch }
    case 'begin':
      numbered.clear()
      // Not those of the new session: its first handlers may have been quicker than this write.
      forgetOthers(transaction, write.session.sid)
      return begun(write.session)
    case 'end':
      forgetOthers(transaction, undefined)
      if (!write.requeue) {
        numbered.clear()
        return undefined
      }
      return requeue(transaction, places)
  }
}

function begun({ sid, key, principal, ttl, limits }: SessionHead): Head {
  return { sid, key, principal, ttl, limits: { ...limits }, epoch: 0, rx: 0, acked: 0 }
}

async function empty(transaction: Transaction, number: number): Promise<void> {
  const entry: Kept = await transaction.objectStore(NUMBERED).get(number)
  plain(transaction, NUMBERED).put({ ...entry, seq: 0, stream: TEXT, payload: '', bytes: 0 }, number)
}

/** Messages that had a number wait again: before all others, in their order. */
async function requeue(transaction: Transaction, places: Places): Promise<undefined> {
  const entries: Kept[] = await transaction.objectStore(NUMBERED).getAll()
  plain(transaction, NUMBERED).clear()
  places.before -= entries.length
  const waiting = plain(transaction, WAITING)
  entries.forEach((entry, index) => {
    // Emptied: its fate has been told.
    if (entry.seq === 0) return
    const place = places.before + 1 + index
    const first = { ...entry, place, priority: Number.MAX_SAFE_INTEGER, expiresAt: NEVER }
    places.waiting.add(entry.seq)
    waiting.put(first, entry.seq)
  })
  return undefined
}

function forgetOthers(transaction: Transaction, sid: string | undefined): void {
  const done = plain(transaction, DONE)
  if (sid === undefined) {
    done.clear()
    return
  }
  done.delete(IDBKeyRange.upperBound([sid], true))
  done.delete(IDBKeyRange.lowerBound([sid, Infinity], true))
}

/** A copy for the store. A view would take the whole of its buffer along. */
function keep(entry: Entry, place: number): Kept {
  const { payload } = entry
  return { ...entry, payload: typeof payload === 'string' ? payload : payload.slice(), place }
}

function toEntry({ place: _, ...entry }: Kept): Entry {
  return entry
}

/** All that there is. */
interface Found {
  readonly record: OutboxRecord
  readonly session: Head | undefined
  readonly places: Places
}

/** Reads all that there is for `owner`, whose it is from then on: what an older owner still writes is refused. */
export async function claim(database: IDBPDatabase, owner: string): Promise<Found> {
  const transaction = database.transaction([...OWN], 'readwrite')
  plain(transaction, SESSION).put(owner, OWNER)
  const store = (name: (typeof OWN)[number]) => transaction.objectStore(name)
  const [head, numbered, numbers, waiting, done] = (await Promise.all([
    store(SESSION).get(0),
    store(NUMBERED).getAll(),
    store(NUMBERED).getAllKeys(),
    store(WAITING).getAll(),
    store(DONE).getAllKeys(),
    transaction.done,
  ])) as [Head | undefined, Kept[], number[], Kept[], [string, number][], unknown]
  waiting.sort((one, other) => one.place - other.place)
  if (head && numbers.some((number, index) => number !== head.acked + 1 + index))
    throw new StorageError('the outbox has lost messages: clear the data of this site', { reason: 'corrupt' })
  const handled = done.filter(([sid, number]) => sid === head?.sid && number > head.rx)
  const record: OutboxRecord = {
    session: head && { ...head, done: handled.map(([, number]) => number), messages: numbered.map(toEntry) },
    waiting: waiting.map(toEntry),
  }
  const places: Places = {
    waiting: new Set(waiting.map(({ seq }) => seq)),
    before: Math.min(0, waiting[0]?.place ?? 0) - 1,
    behind: Math.max(0, waiting.at(-1)?.place ?? 0) + 1,
  }
  return { record, session: head, places }
}

/** Aborts the transaction before anything of it is recorded when the outbox is another's by now, and says so. */
export function fence(
  transaction: Transaction,
  owner: string,
  onPassed: () => void,
  onLost: () => void,
): void {
  const request = plain(transaction, SESSION).get(OWNER)
  request.addEventListener('success', () => {
    if (request.result === owner) {
      onPassed()
      return
    }
    onLost()
    abort(transaction)
  })
}

/** Waits for what has been asked of a transaction so far, which keeps it alive and lets the page breathe. */
export async function breathe(transaction: Transaction): Promise<void> {
  await transaction.objectStore(SESSION).getKey(OWNER)
}

/** Says that nothing more will be asked: the transaction ends even if this page is frozen now. */
export function finish(transaction: Transaction): void {
  try {
    transaction.commit()
  } catch {
    // It has been aborted.
  }
}

export function openAt(
  name: string,
  version: number | undefined,
  wanted: Readonly<Record<string, IDBObjectStoreParameters>>,
): Promise<IDBPDatabase> {
  const { promise, resolve, reject } = Promise.withResolvers<IDBPDatabase>()
  openDB(name, version, {
    upgrade(database) {
      for (const [store, parameters] of Object.entries(wanted)) {
        if (!database.objectStoreNames.contains(store)) database.createObjectStore(store, parameters)
      }
    },
    blocked() {
      reject(
        new StorageError(`another tab holds an older version of "${name}" open: close it`, {
          reason: 'locked',
        }),
      )
    },
  }).then(resolve, reject)
  // One that comes after all, too late, must not stand in the way of the next.
  promise.catch(() => {})
  return promise
}

/**
 * Deletes a database. Pages that have it open are asked to close it, which all of this version do.
 * @throws StorageError `locked` when one does not: it is deleted once that one is gone
 */
export function remove(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name)
    request.addEventListener('success', () => resolve())
    request.addEventListener('error', () => reject(request.error))
    request.addEventListener('blocked', () => {
      const message = `another page holds "${name}" open: it is deleted once that page is closed`
      reject(new StorageError(message, { reason: 'locked' }))
    })
  })
}

/**
 * Resolves when a transaction is over: to its error when it was given up. The `done` of idb rejects as soon as a request
 * fails, when the reason is not known yet.
 */
export function ended(transaction: Transaction): Promise<DOMException | undefined> {
  transaction.done.catch(() => {})
  const raw = unwrap(transaction) as IDBTransaction
  return new Promise((resolve) => {
    raw.addEventListener('complete', () => resolve(undefined))
    raw.addEventListener('abort', () =>
      resolve(raw.error ?? new DOMException('the transaction was given up', GIVEN_UP)),
    )
  })
}

/** Without the promises of idb: the outcome of such requests is that of their transaction, which is awaited. */
export function plain(transaction: Transaction, name: string): IDBObjectStore {
  return (unwrap(transaction) as IDBTransaction).objectStore(name)
}

export function abort(transaction: Transaction): void {
  try {
    transaction.abort()
  } catch {
    // It had ended by itself.
  }
}

/** Without the messages that came and went within these writes: nobody has to record them. */
export function withoutPassing(batch: readonly Write[]): readonly Write[] {
  const dropped = new Set<number>()
  for (const write of batch) if (write.kind === 'drop') dropped.add(write.seq)
  if (dropped.size === 0) return batch
  return batch.filter((write) => write.kind !== 'accept' || !dropped.has(write.entry.seq))
}
