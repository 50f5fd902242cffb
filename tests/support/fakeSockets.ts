// Waiting, in virtual time, for what a connection does with its sockets.

import { FakeWebSocket } from '../../src/testing/FakeWebSocket.ts'
import type { VirtualClock } from '../../src/testing/VirtualClock.ts'

/** The next socket that is made from now on, once the session's code has been loaded and any backoff is over. */
export async function nextSocket(clock: VirtualClock): Promise<FakeWebSocket> {
  const before = FakeWebSocket.all.length
  for (let turn = 0; FakeWebSocket.all.length === before; turn += 1) {
    if (turn > 2000) throw new Error('no socket was made')
    await clock.advance(50)
  }
  return FakeWebSocket.latest
}
