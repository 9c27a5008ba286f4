/** Client certificates: the settings `identity.authorities`, `identity.certificates` and those of revocation. */
import { z } from 'zod';
import { authoritiesSchema, certificateRulesSchema } from '../domain/certificate-settings.ts';
import { settingNotes } from './setting-notes.ts';

const MAX_LISTS = 64;

export const certificateSettings = {
  authorities: authoritiesSchema.default([]).register(settingNotes, {
    description:
      'Who issues client certificates; docs/mtls.md has every field. In the environment a JSON array.',
    unit: 'authorities',
  }),
  certificates: certificateRulesSchema.default([]).register(settingNotes, {
    description:
      'Whom client certificates stand for, by their exact names; docs/mtls.md has every field. In the environment a JSON array.',
    unit: 'rules',
  }),
  revocationLists: z.array(z.string().min(1).max(4096)).max(MAX_LISTS).default([]).register(settingNotes, {
    description:
      'Files with lists of revoked certificates (CRL), PEM or DER. When there are any, every CA of `identity.authorities` needs a current one, or its certificates are refused. Read again when they change and at SIGHUP. Comma-separated in the environment.',
    unit: 'paths',
  }),
  certificateDenyList: z.string().min(1).max(4096).optional().register(settingNotes, {
    description:
      'File with certificates that are refused whoever issued them: lines `serial HEX`, `key SHA256` or `id URI`. Read again when it changes and at SIGHUP.',
    unit: 'path',
  }),
};
