/* Whether this processor has what a variant was compiled for: one function for each instruction set. */
#ifndef BONSAI_EDGE_CPU_FEATURES_H
#define BONSAI_EDGE_CPU_FEATURES_H

int bonsai_edge_has_avx512_vnni(void);
int bonsai_edge_has_avx_vnni(void);
int bonsai_edge_has_avx2(void);
int bonsai_edge_has_neon_i8mm(void);
int bonsai_edge_has_neon_dotprod(void);
int bonsai_edge_has_neon(void);
int bonsai_edge_has_portable(void);

#endif
