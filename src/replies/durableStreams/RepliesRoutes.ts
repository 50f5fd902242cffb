// Replies over HTTP: who may do what with whose.

import { type Random, systemRandom } from '../../core/random.ts'
import { Replies } from '../Replies.ts'
import { LogRoutes } from './LogRoutes.ts'

/**
 * Serves replies over HTTP by Durable Streams 1.0. Who may read a reply may stop it as well, by
 * closing it; what principals make over HTTP is theirs alone.
 */
export function repliesRoutes(replies: Replies, random: Random = systemRandom): LogRoutes {
  const { path, clock, maxBodyBytes, longPollMs, sseMs, maxReaders, writable } = replies.options
  return new LogRoutes({
    logs: replies.logs,
    path,
    clock,
    random,
    maxBodyBytes,
    longPollMs,
    sseMs,
    maxReaders,
    stop: (head) => replies.stopLog(head),
    allows: (principal, action, head) => {
      if (action === 'read') return head !== undefined && Replies.isFor(head, principal)
      if (!writable || head?.local === true) return false
      return head === undefined || head.owner === principal
    },
  })
}
