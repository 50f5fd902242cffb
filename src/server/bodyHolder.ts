// What the body of a request may make us hold, reserved before its first byte comes.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Holder, type MemoryBudget, ownerOf } from './MemoryBudget.ts'

/** Reserves room for a body until its request is answered. @param refuse answers that there is none any more */
export function holdBody(
  request: IncomingMessage,
  response: ServerResponse,
  { budget, maxBytes, refuse }: { budget: MemoryBudget; maxBytes: number; refuse: () => void },
): void {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  const bytes = Math.min(encoding === undefined ? Number(length ?? 0) : maxBytes, maxBytes)
  if (!(bytes > 0)) return
  let held = bytes
  const holder: Holder = {
    owner: ownerOf(undefined, request.socket.remoteAddress),
    measure: () => held,
    giveUp() {
      held = 0
      refuse()
      response.once('finish', () => request.destroy())
    },
  }
  response.once('close', () => {
    held = 0
    budget.hold(holder, 0)
  })
  budget.hold(holder, bytes)
}
