// What a session asks of the server it belongs to. Types only.

import type { DeferredEvents } from '../session/deferredEvents.ts'
import type { PostFate } from '../session/sharedSessions.ts'
import type { SessionWrite, Transact } from '../session/store.ts'
import type { StoreWriter, Written } from '../session/storeWriter.ts'
import type { Session } from './Session.ts'
import type { SessionSocket } from './SessionSocket.ts'
import type { SessionCounts } from './sessionCounts.ts'
import type { SessionHost } from './sessionHost.ts'

/** What a session asks of the server it belongs to. */
export interface HostServer {
  readonly counts: SessionCounts
  readonly overflow: 'drop-oldest' | 'drop-newest' | 'reject'
  readonly transact: Transact | undefined
  readonly handlerTimeout: number
  readonly events: DeferredEvents
  now(): number
  /** Whether its sessions are still its own: asked before anything is said by itself. */
  leaseValid(): boolean
  /** Says to who posted a message what became of it. */
  tellFate(from: string, fate: PostFate): void
  socket(conn: number): SessionSocket | undefined
  hangUp(conn: number, code: number, reason: string): void
  /** The payload bytes kept for a client have changed by so many. */
  keep(bytes: number): void
  /** Whether so many more may be kept. */
  mayKeep(bytes: number, host: SessionHost): boolean
  /** Something failed that no listener of the session hears. */
  report(error: unknown, session: Session): void
  setAlarm(host: SessionHost, at: number): void
  schedule(writer: StoreWriter, late: boolean): void
  save(host: SessionHost, writes: readonly SessionWrite[], held: number): Written
  /** Something may have come to rest. */
  rested(): void
  /** Messages can be sent: shows a new session to the app; one that is shown already goes on. */
  opened(host: SessionHost, resumed: boolean): void
  /** It is over: nobody can resume it here. */
  over(host: SessionHost): void
  /** It is over, and nothing of it is left to be recorded. */
  gone(host: SessionHost): void
}
