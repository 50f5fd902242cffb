// What a leader says has become of this tab's messages: receipts settle, and listeners hear of it.

import { CommsError } from '../core/errors.ts'
import type { SharedEvents } from './events.ts'
import type { Outgoing } from './outgoing.ts'
import type { ToTab } from './protocol.ts'

type Fate = 'delivered' | 'dropped' | 'inDoubt'

export function settle(
  outgoing: Outgoing,
  frame: Exclude<ToTab, { t: 'lead' }>,
  emit: <K extends Fate>(name: K, event: SharedEvents[K][0]) => void,
): void {
  const { n } = frame
  switch (frame.t) {
    case 'stored':
      outgoing.stored(n)
      return
    case 'refused': {
      const { code, message } = frame.why
      // It is kept in the leader's memory.
      if (code === 'STORAGE') outgoing.stored(n, new CommsError(message, { code }))
      else outgoing.failed(n, () => new CommsError(message, { code }))
      return
    }
    case 'delivered': {
      const id = outgoing.delivered(n)
      if (id !== undefined) emit('delivered', { id })
      return
    }
    case 'dropped': {
      const { reason } = frame
      const id = outgoing.failed(
        n,
        (name) => new CommsError(`message ${name} was dropped: ${reason}`, { code: 'DROPPED' }),
      )
      if (id !== undefined) emit('dropped', { id, reason })
      return
    }
    case 'doubt': {
      const { message: reason } = frame
      const id = outgoing.failed(n, (name) => new CommsError(`${name}: ${reason}`, { code: 'SESSION_LOST' }))
      if (id !== undefined) emit('inDoubt', { id, reason })
    }
  }
}
