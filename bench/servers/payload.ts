// The documents that travel: plain JSON of a given size, like an API's and a chat's.

/** A JSON object of about `bytes` bytes when written out: ids, flags, nested values and text. */
export function documentOf(bytes: number): Record<string, unknown> {
  const document = {
    id: 'msg_01hf7q2v9e4m',
    model: 'assistant-1',
    created: 1_764_000_000,
    done: false,
    usage: { prompt: 212, completion: 96, total: 308 },
    choices: [{ index: 0, role: 'assistant', finish: null, scores: [0.12, 0.5, 0.91, 0.07] }],
    tags: ['alpha', 'beta', 'gamma'],
    text: '',
  }
  const missing = bytes - JSON.stringify(document).length
  document.text = 'The quick brown fox jumps over the lazy dog. '
    .repeat(Math.ceil(missing / 45))
    .slice(0, missing)
  return document
}

/** A piece of a streamed reply, about 200 bytes written out. */
export function delta(index: number): Record<string, unknown> {
  return {
    role: 'assistant',
    type: 'message',
    request_id: '5f0c2f4e-8d11-4d0f-9f53-0a4c9e1a7b22',
    content: 'a few words of an answer that is being streamed to its reader, ',
    state: 'speaking',
    index,
  }
}
