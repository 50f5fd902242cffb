// Which pages may use the backend, and under which names it may be addressed.
//
// A page of any site can open a WebSocket to this machine (cross-site WebSocket hijacking), and a name that an attacker points
// at 127.0.0.1 makes his page same-origin with us (DNS rebinding): hence both checks.

import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Refusal } from './refusals.ts'

const LOOPBACK_NAMES: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

export interface AccessRules {
  readonly host: string
  readonly allowedOrigins: readonly string[]
  readonly allowedHosts: readonly string[] | undefined
}

/** Why a request is refused, or `undefined` when it may pass. */
export function refusal(request: IncomingMessage, rules: AccessRules): Refusal | undefined {
  const hosts = rules.allowedHosts ?? (isLoopbackAddress(rules.host) ? LOOPBACK_NAMES : undefined)
  const { host, origin } = request.headers
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase()
  if (hosts && !hosts.some((allowed) => allowed.toLowerCase() === name))
    return { reason: 'this name is not served here', option: 'allowedHosts', came: host ?? '' }
  if (!isAllowedOrigin(request, rules))
    return { reason: 'this origin is not allowed', option: 'allowedOrigins', came: origin }
  return undefined
}

/** Whether the page that sent this, if a page did, may use the backend. */
export function isAllowedOrigin(request: IncomingMessage, { allowedOrigins }: AccessRules): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return true
  if (allowedOrigins.includes(origin)) return true
  if (host === undefined || !URL.canParse(origin)) return false
  const page = new URL(origin)
  return schemesOf(request).includes(page.protocol) && page.host === hostOf(page.protocol, host)
}

/**
 * Schemes under which pages of this server come. What a network can forge, a page over plain HTTP, is not a page of a
 * server that is asked over TLS. Behind a proxy that ends TLS only the proxy knows; a browser lets no page set its header.
 */
function schemesOf({ headers, socket }: IncomingMessage): readonly string[] {
  if ((socket as Partial<TLSSocket> | undefined)?.encrypted) return ['https:']
  const forwarded = headers['x-forwarded-proto']
  const told = (typeof forwarded === 'string' ? forwarded : '').split(',', 1)[0]?.trim().toLowerCase()
  if (told === 'https' || told === 'wss') return ['https:']
  if (told === 'http' || told === 'ws') return ['http:']
  return ['http:', 'https:']
}

/** A `Host` as an origin of this scheme writes it: lower case, without the port that goes without saying. */
function hostOf(protocol: string, host: string): string | undefined {
  const url = `${protocol}//${host}`
  return URL.canParse(url) ? new URL(url).host : undefined
}

/** The address that the server of a request listens on; empty for one that no name leads to. */
export function listeningAddress({ socket }: IncomingMessage): string {
  // `node:http` says which server a socket belongs to; elsewhere the address that was connected to stands for it.
  const { server, localAddress = '' } = socket as Socket & { readonly server?: Partial<Server> }
  const address = server?.address?.()
  return typeof address === 'object' ? (address?.address ?? localAddress) : ''
}

/** Whether an address is this machine's own. */
export function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && /^(?:localhost|127(?:\.\d+){3}|::1|::ffff:127(?:\.\d+){3})$/.test(address)
}
