#include "lwip/altcp_tls.h"
#include "mbedtls/ssl.h"
#include "mbedtls/x509_crt.h"
#include "port/port.h"

static struct altcp_tls_config *tls;

/* Called for each certificate of the broker's chain; `flags` is what mbedTLS holds against it. */
static int ignore_dates_without_clock(void *unused, mbedtls_x509_crt *certificate, int depth, uint32_t *flags) {
  uint32_t now;
  (void)unused;
  (void)certificate;
  (void)depth;
  if (!pt_clock_trusted(altcp_tls_own_certificate(tls), &now))
    *flags &= ~((uint32_t)MBEDTLS_X509_BADCERT_EXPIRED | (uint32_t)MBEDTLS_X509_BADCERT_FUTURE);
  return 0;
}

struct altcp_tls_config *pt_tls_config(const struct pt_config *config) {
  tls = altcp_tls_create_config_client_2wayauth(config->ca, config->ca_length, config->key, config->key_length, NULL,
                                                0, config->certificate, config->certificate_length);
  if (tls == NULL) return NULL;
  mbedtls_ssl_config *ssl = altcp_tls_ssl_config(tls);
  mbedtls_ssl_conf_min_version(ssl, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
  mbedtls_ssl_conf_verify(ssl, ignore_dates_without_clock, NULL);
  return tls;
}
