// What a session says to its app: why it was lost, why it stopped, why a message was not accepted.

import { CommsError } from '../core/errors.ts'
import type { StopReason } from './closeDecision.ts'
import type { LossReason } from './effects.ts'

export const STOPPED: Readonly<
  Record<Exclude<StopReason, 'closed'>, [string, ConstructorParameters<typeof CommsError>[1]]>
> = {
  notAuthenticated: [
    'the server did not accept the token (4401), twice: connect() with another one goes on with the session',
    { code: 'CONNECTION' },
  ],
  takenOver: [
    'another connection owns the session (4409): is its outbox open twice, or a copy of it? connect() takes it back',
    { code: 'SESSION_LOST' },
  ],
  protocol: [
    'the server and this client do not understand each other (4400, three times)',
    { code: 'PROTOCOL' },
  ],
}

export const LOST: Readonly<Record<LossReason, string>> = {
  gone: 'the server no longer has the session',
  memory: 'the server, or this client, has lost a part of the session',
  protocol: 'the protocol was broken twice',
  stopped: 'the app has ended it',
  storage: 'the storage could not be written',
  usedUp: 'all numbers are used up',
}

/** The error of a message that was not accepted. */
export function refusal(
  why: 'rejected' | 'tooLarge' | 'empty',
  size: number,
  maxFrame: number,
  waiting: { readonly messages: number; readonly bytes: number },
): CommsError {
  switch (why) {
    case 'rejected': {
      const message = `send: the queue is full (${waiting.messages} messages, ${waiting.bytes} bytes waiting): the message was not accepted`
      return new CommsError(message, { code: 'QUEUE_FULL' })
    }
    case 'tooLarge': {
      const message = `send: the message is too large (${size} bytes): ${maxFrame} are taken at most (maxFrame)`
      return new CommsError(message, { code: 'BAD_REQUEST' })
    }
    case 'empty':
      return new CommsError('send: a session cannot carry an empty text', { code: 'BAD_REQUEST' })
  }
}
