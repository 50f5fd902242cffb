// PUT: makes a log, or a fork of one (Durable Streams 1.0, sections 4.2 and 5.1).

import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { CreateResult, ForkRequest } from '../createStep.ts'
import { parseOffset } from '../offset.ts'
import { contentOf, facts, refuseBody, typeOf } from './content.ts'
import {
  BadRequest,
  CLOSED,
  FORK_OFFSET,
  FORK_SUB_OFFSET,
  FORKED_FROM,
  one,
  saysClosed,
  timeToLive,
  wholeNumber,
} from './headers.ts'
import { type LogRequest, pathFault, refuse, refuseMissing } from './LogRequest.ts'
import { readBody } from './readBody.ts'

export async function answerCreate(asked: LogRequest): Promise<void> {
  const { routes, request, response, principal, path } = asked
  const { headers } = request
  const contentType = typeOf(headers)
  const time = timeToLive(headers)
  const known = await routes.logs.find(path)
  const may = routes.allows(principal, 'create', typeof known === 'string' ? undefined : known)
  if (!may) {
    request.resume()
    refuse(response, 403, 'you may not make this stream')
    return
  }
  const fork = await forkOf(asked)
  const body = await readBody(request, routes.maxBodyBytes)
  if (typeof body === 'string') {
    refuseBody(asked, body)
    return
  }
  if (fork === 'answered') return
  const result = await routes.logs.create({
    path,
    id: randomUUID(),
    owner: principal,
    audience: 'owner',
    local: false,
    contentType,
    ...time,
    closed: saysClosed(headers),
    content: (type) => contentOf(body, type),
    fork,
  })
  answerCreated(asked, result)
}

function answerCreated({ response, request }: LogRequest, result: CreateResult | { kind: 'tooMany' }): void {
  switch (result.kind) {
    case 'created':
    case 'exists': {
      const { head } = result
      const created = result.kind === 'created'
      response.writeHead(created ? 201 : 200, {
        ...facts(head),
        ...(created && { location: locationOf(request.headers, head.path) }),
        'cache-control': 'no-store',
        'content-length': 0,
      })
      response.end()
      return
    }
    case 'conflict':
      refuse(response, 409, result.reason, result.head?.closed ? { [CLOSED]: 'true' } : {})
      return
    case 'noSource':
      refuseMissing(response)
      return
    case 'invalid':
      refuse(response, 400, result.reason)
      return
    case 'tooLarge':
      refuse(response, 413, 'the stream would be larger than it may be')
      return
    case 'tooMany':
      refuse(response, 429, 'there are too many streams', { 'retry-after': '30' })
  }
}

function locationOf({ host }: IncomingHttpHeaders, path: string): string {
  return host === undefined ? path : `http://${host}${path}`
}

/** The fork that a request asks for. @throws BadRequest */
async function forkOf({
  routes,
  request: { headers },
  response,
  principal,
}: LogRequest): Promise<ForkRequest | undefined | 'answered'> {
  const path = one(headers, FORKED_FROM)
  const offset = one(headers, FORK_OFFSET)
  const subOffset = wholeNumber(headers, FORK_SUB_OFFSET)
  if (path === undefined) {
    if (offset !== undefined || subOffset !== undefined)
      throw new BadRequest(`${FORK_OFFSET} and ${FORK_SUB_OFFSET} take ${FORKED_FROM}`)
    return undefined
  }
  if (offset === undefined && subOffset) throw new BadRequest(`${FORK_SUB_OFFSET} takes ${FORK_OFFSET}`)
  const position = offset === undefined ? undefined : parseOffset(offset)
  if (offset !== undefined && typeof position !== 'number')
    throw new BadRequest(`${FORK_OFFSET} is no offset of a stream`)
  if (pathFault(routes.path, path)) throw new BadRequest(`${FORKED_FROM} is no path of a stream here`)
  const source = await routes.logs.find(path)
  if (source === 'missing' || (typeof source === 'object' && !routes.allows(principal, 'read', source))) {
    refuseMissing(response)
    return 'answered'
  }
  const from = typeof position === 'number' ? position : undefined
  const boundary = subOffset ? await routes.logs.boundaryAfter(path, from ?? 0) : 0
  return { path, position: from, subOffset: subOffset ?? 0, boundary }
}
