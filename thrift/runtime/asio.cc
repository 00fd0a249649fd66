// Asio's own code, compiled once for the whole project (ASIO_SEPARATE_COMPILATION).
#include <utility>  // Asio 1.22 uses std::exchange without including it

#include <asio/impl/src.hpp>
#include <asio/ssl/impl/src.hpp>
