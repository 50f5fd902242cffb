// DELETE: removes a log (Durable Streams 1.0, section 5.4).

import { type LogRequest, refuse, refuseMissing, refuseRemoved } from './LogRequest.ts'

export async function answerRemove({ routes, response, principal, path }: LogRequest): Promise<void> {
  const head = await routes.logs.find(path)
  if (typeof head === 'object' && !routes.allows(principal, 'remove', head)) {
    if (routes.allows(principal, 'read', head)) refuse(response, 403, 'you may not remove this stream')
    else refuseMissing(response)
    return
  }
  const result = await routes.logs.remove(path)
  if (result.kind === 'missing') refuseMissing(response)
  else if (result.kind === 'gone') refuseRemoved(response)
  else response.writeHead(204, { 'cache-control': 'no-store' }).end()
}
