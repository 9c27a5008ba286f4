/**
 * Corpus cases (first eight digits of their names) whose policy holds an integer literal beyond 2^53 - 1:
 * the JSON form of the policy has lost its digits, so the decoder refuses them.
 */
export const REFUSED_CORPUS_CASES = `
  024822cf 0356561c 03b9d3fb 03d16fd7 0410a5b2 04d92ac8 053bf41f 0697d596 07b3d25e 082390fa
  091f4496 09bde5ef 09e98b22 0a9f2371 0b430a3e 0b7f4c05 0e1757b7 0f2a5d46 0f6465bb 1283e6c9
  13728dd5 13e8b76c 1492abbe 197ef994 1984c7a1 1c28576f 1ea52760 20c3bb03 215d5ca9 223b7524
  229ceb42 239e0ec0 24ebcd16 252db933 25756dda 25b57625 2a584e8f 2a77a47c 2b217d57 2b36887a
  2e61cd72 2edd0ab8 2ee5b9cf 2fed6338 3233c6a7 373f05de 3864dd28 3a2098bb 3b47aa5a 3d543f1a
  3da157f8 3f1cdc60 3ffff2a6
`
  .trim()
  .split(/\s+/);
