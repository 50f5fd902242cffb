// How an attempt ended, in the only three words that policies understand.

/**
 * `success`: the other side is well. `failure`: it is not. `ignored`: the attempt says nothing about it
 * (the caller aborted, a token was refused), so whatever it held is given back uncounted.
 */
export type Outcome = 'success' | 'failure' | 'ignored'
