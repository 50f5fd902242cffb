// Which pages may use the backend, and under which names it may be addressed.
//
// A page of any site can open a WebSocket to this machine (cross-site WebSocket hijacking), and a name that an attacker points
// at 127.0.0.1 makes his page same-origin with us (DNS rebinding): hence both checks.

import type { IncomingMessage } from 'node:http'

const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

export interface AccessRules {
  readonly host: string
  readonly allowedOrigins: readonly string[]
  readonly allowedHosts: readonly string[] | undefined
}

/** Why a request is refused, or `undefined` when it may pass. */
export function refusal(request: IncomingMessage, rules: AccessRules): string | undefined {
  const hosts = rules.allowedHosts ?? (isLoopbackAddress(rules.host) ? LOOPBACK_NAMES : undefined)
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
  if (hosts && !hosts.some((name) => name.toLowerCase() === host)) return 'this name is not served here'
  if (!isAllowedOrigin(request, rules)) return 'this origin is not allowed'
  return undefined
}

/** Whether the page that sent this, if a page did, may use the backend. */
export function isAllowedOrigin(request: IncomingMessage, { allowedOrigins }: AccessRules): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return true
  if (allowedOrigins.includes(origin)) return true
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()
}

/** Whether an address is this machine's own. */
export function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && /^(?:localhost|127(?:\.\d+){3}|::1|::ffff:127(?:\.\d+){3})$/.test(address)
}
