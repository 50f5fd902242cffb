// The sessions that an app knows, by their id: a view of the one map that there is.

import type { Session } from './Session.ts'
import type { SessionHost } from './sessionHost.ts'

export class SessionView implements ReadonlyMap<string, Session> {
  readonly #hosts: ReadonlyMap<string, SessionHost>

  constructor(hosts: ReadonlyMap<string, SessionHost>) {
    this.#hosts = hosts
  }

  get size(): number {
    let size = 0
    for (const host of this.#hosts.values()) if (isKnown(host)) size += 1
    return size
  }

  get(sid: string): Session | undefined {
    const host = this.#hosts.get(sid)
    return host && isKnown(host) ? host.session : undefined
  }

  has(sid: string): boolean {
    return this.get(sid) !== undefined
  }

  *entries(): MapIterator<[string, Session]> {
    for (const [sid, host] of this.#hosts) if (isKnown(host)) yield [sid, host.session]
  }

  *keys(): MapIterator<string> {
    for (const [sid] of this.entries()) yield sid
  }

  *values(): MapIterator<Session> {
    for (const [, session] of this.entries()) yield session
  }

  [Symbol.iterator](): MapIterator<[string, Session]> {
    return this.entries()
  }

  forEach(call: (session: Session, sid: string, all: ReadonlyMap<string, Session>) => void): void {
    for (const [sid, session] of this.entries()) call(session, sid, this)
  }
}

const isKnown = ({ shown, machine }: SessionHost) => shown && machine.state.phase !== 'over'
