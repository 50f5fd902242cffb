// What every outbox checks before it records: that a write fits what is there. The owner is alone, so that this part of the
// record can be kept in memory, and a write that does not fit shows a fault (two owners after all, a copy put back).

import type { OutboxRecord, Write } from '../session/store.ts'
import { StorageError } from './StorageError.ts'

export class OutboxHead {
  /** Empty while there is no session. */
  sid = ''
  epoch = 0
  acked = 0
  /** The highest number given. */
  last = 0

  static of({ session }: OutboxRecord): OutboxHead {
    const head = new OutboxHead()
    if (!session) return head
    head.sid = session.sid
    head.epoch = session.epoch
    head.acked = session.acked
    head.last = session.acked + session.messages.length
    return head
  }

  /** The head after these writes, which have to be recorded all or none. */
  copy(): OutboxHead {
    return Object.assign(new OutboxHead(), this)
  }

  /**
   * Takes a write in; false when there is nothing to record: it belongs to a session that is over, or says what is known.
   * @throws StorageError `conflict`
   */
  step(write: Write): boolean {
    switch (write.kind) {
      case 'accept':
      case 'drop':
        return true
      case 'begin':
        this.#reset(write.session.sid)
        return true
      case 'end':
        if (write.sid !== this.sid) return false
        this.#reset('')
        return true
      case 'epoch':
        if (write.sid !== this.sid || write.epoch <= this.epoch)
          throw conflict(`epoch ${write.epoch} of a session at epoch ${this.epoch}, or of another`)
        this.epoch = write.epoch
        return true
      case 'number':
        // What is recorded as numbered is sent: it must not be dropped in silence.
        if (write.sid !== this.sid || write.number !== this.last + 1)
          throw conflict(`message ${write.number} after ${this.last}, or of another session`)
        this.last = write.number
        return true
      case 'void':
        return write.sid === this.sid && write.number > this.acked && write.number <= this.last
      case 'prune':
        if (write.sid !== this.sid || write.acked <= this.acked) return false
        if (write.acked > this.last)
          throw conflict(`an acknowledgement of ${write.acked}, the last is ${this.last}`)
        this.acked = write.acked
        return true
      case 'rx':
        return write.sid === this.sid
    }
  }

  #reset(sid: string): void {
    this.sid = sid
    this.epoch = 0
    this.acked = 0
    this.last = 0
  }
}

function conflict(what: string): StorageError {
  return new StorageError(
    `the outbox cannot record ${what}: was a copy of it put back while it was in use?`,
    {
      reason: 'conflict',
    },
  )
}

/** What every method says once the outbox is closed, or before it is loaded. */
export function notLoaded(): StorageError {
  return new StorageError('the outbox is not open: load it first', { reason: 'closed' })
}

/** What the second owner of an outbox is told. */
export function alreadyOwned(what: string, advice: string): StorageError {
  return new StorageError(
    `${what} is in use by another connection, here or in another process: an outbox has one owner at a time. ${advice}`,
    { reason: 'locked' },
  )
}

/** What an owner is told that the outbox belongs to no more. */
export function ownerLost(what: string): StorageError {
  return new StorageError(`${what} has been taken over by another owner, or wiped: this one writes no more`, {
    reason: 'lost',
  })
}

/** What a handler is told that tries to record its message a second time. */
export function recordedTwice(number: number): StorageError {
  return new StorageError(
    `message ${number} is recorded as handled already: put all that its handler records into one transaction`,
    { reason: 'conflict' },
  )
}

/** Why `run` of a transaction has to return when it is done. */
export function refusePromise<T>(result: T): T {
  if (typeof (result as { then?: unknown } | null | undefined)?.then === 'function')
    throw new TypeError('transact: "run" returned a promise, but has to do all its work before it returns')
  return result
}
