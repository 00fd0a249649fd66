#include "thrift/runtime/codec.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <type_traits>

#include <fmt/format.h>
#include <thrift/TApplicationException.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/transport/TBufferTransports.h>

namespace troth::rpc {
namespace {

using apache::thrift::TConfiguration;
using namespace apache::thrift::protocol;
using apache::thrift::transport::TBufferBase;
using apache::thrift::transport::TTransportException;

std::shared_ptr<TConfiguration> nesting_up_to(int depth) {
  auto configuration = std::make_shared<TConfiguration>();
  configuration->setRecursionLimit(depth);
  return configuration;
}

// By TType: the types that a value on the wire may have, and the stop that ends a struct.
constexpr std::array<bool, T_LIST + 1> kIsType = [] {
  std::array<bool, T_LIST + 1> is_type{};
  for (const auto type :
       {T_STOP, T_BOOL, T_BYTE, T_DOUBLE, T_I16, T_I32, T_I64, T_STRING, T_STRUCT, T_MAP, T_SET, T_LIST})
    is_type[static_cast<std::size_t>(type)] = true;
  return is_type;
}();

constexpr std::uint32_t kMaxWrittenBytes = 1U << 31;
constexpr std::size_t kFirstWriteBytes = 512;
// A longer buffer is given back on reset, so that one large reply does not stay in memory.
constexpr std::size_t kKeptWriteBytes = 64U << 10;

}  // namespace

// The bytes of one frame, as a transport that only reads.
class MessageReader::Source : public TBufferBase {
 public:
  explicit Source(std::shared_ptr<TConfiguration> configuration) : TBufferBase(std::move(configuration)) {}

  void begin(Bytes content) {
    // Thrift's buffers are not const, but this transport never writes.
    setReadBuffer(const_cast<std::uint8_t*>(content.data()), static_cast<std::uint32_t>(content.size()));
    size_ = static_cast<std::uint32_t>(content.size());
    resetConsumedMessageSize();
    resetConsumedMessageSize(static_cast<long>(content.size()));
  }

  [[nodiscard]] std::uint32_t remaining() const { return static_cast<std::uint32_t>(rBound_ - rBase_); }

  // The next bytes, as many as there are.
  [[nodiscard]] Bytes front(std::size_t count) const {
    return Bytes(rBase_, rBound_).first(std::min<std::size_t>(count, remaining()));
  }

  bool isOpen() const override { return true; }
  std::uint32_t readEnd() override { return size_ - remaining(); }

 protected:
  std::uint32_t readSlow(std::uint8_t*, std::uint32_t) override {
    throw TTransportException(TTransportException::END_OF_FILE, "the message is shorter than it claims");
  }
  void writeSlow(const std::uint8_t*, std::uint32_t) override {
    throw TTransportException(TTransportException::NOT_OPEN, "a received message is only read");
  }
  const std::uint8_t* borrowSlow(std::uint8_t*, std::uint32_t*) override { return nullptr; }

 private:
  std::uint32_t size_ = 0;
};

struct MessageReader::State {
  std::uint32_t elements_left = 0;
  std::uint32_t max_elements = 0;
  std::string refusal;
};

namespace {

// Base is one of Thrift's protocols. Before each string and container its limits are set to what the rest of
// the frame can hold, so that the check comes before the allocation.
template <typename Base, typename Source, typename State>
class BoundedProtocol : public Base {
 public:
  BoundedProtocol(std::shared_ptr<Source> source, std::shared_ptr<State> state)
      : Base(source), source_(source.get()), state_(std::move(state)) {}

  // Thrift reads the method's name under the limit that the last message left behind.
  std::uint32_t readMessageBegin_virt(std::string& name, TMessageType& type, std::int32_t& seqid) override {
    return bounded_string([&] { return Base::readMessageBegin(name, type, seqid); });
  }
  std::uint32_t readFieldBegin_virt(std::string& name, TType& type, std::int16_t& field) override {
    expect_types(1);
    return Base::readFieldBegin(name, type, field);
  }
  std::uint32_t readListBegin_virt(TType& element, std::uint32_t& size) override {
    expect_types(1);
    return bounded_container(size, [&] { return Base::readListBegin(element, size); });
  }
  std::uint32_t readSetBegin_virt(TType& element, std::uint32_t& size) override {
    expect_types(1);
    return bounded_container(size, [&] { return Base::readSetBegin(element, size); });
  }
  std::uint32_t readMapBegin_virt(TType& key, TType& value, std::uint32_t& size) override {
    expect_types(2);
    return bounded_container(size, [&] { return Base::readMapBegin(key, value, size); });
  }
  std::uint32_t readString_virt(std::string& text) override {
    return bounded_string([&] { return Base::readString(text); });
  }
  std::uint32_t readBinary_virt(std::string& bytes) override {
    return bounded_string([&] { return Base::readBinary(bytes); });
  }
  // Thrift's own skip() would go around the functions above.
  std::uint32_t skip_virt(TType type) override {
    return apache::thrift::protocol::skip(*static_cast<ThriftProtocol*>(this), type);
  }

 private:
  // The binary protocol casts any byte to a type; the compact one looks first.
  void expect_types(std::size_t count) {
    if constexpr (std::is_same_v<Base, TBinaryProtocolT<TBufferBase>>) {
      for (const auto type : source_->front(count)) {
        if (type <= T_LIST && kIsType[type]) continue;
        state_->refusal = fmt::format("{} is the number of no type", type);
        throw TProtocolException(TProtocolException::INVALID_DATA, state_->refusal);
      }
    }
  }

  // Thrift takes 0 for "no limit".
  [[nodiscard]] std::int32_t at_most(std::uint32_t limit) const {
    return static_cast<std::int32_t>(std::max(limit, 1U));
  }

  template <typename Read>
  std::uint32_t bounded_container(std::uint32_t& size, Read read) {
    const std::uint32_t limit = std::min(source_->remaining(), state_->elements_left);
    this->container_limit_ = at_most(limit);
    std::uint32_t taken = 0;
    try {
      taken = read();
    } catch (const TProtocolException& problem) {
      if (problem.getType() == TProtocolException::SIZE_LIMIT) {
        state_->refusal = limit == state_->elements_left
                              ? fmt::format("its containers have more than {} elements (max_elements)",
                                            state_->max_elements)
                              : "a container claims more elements than the message has bytes";
      }
      throw;
    }
    state_->elements_left -= std::min(size, state_->elements_left);
    return taken;
  }

  template <typename Read>
  std::uint32_t bounded_string(Read read) {
    this->string_limit_ = at_most(source_->remaining());
    try {
      return read();
    } catch (const TProtocolException& problem) {
      if (problem.getType() == TProtocolException::SIZE_LIMIT)
        state_->refusal = "a string claims more bytes than the message has";
      throw;
    }
  }

  Source* source_;
  std::shared_ptr<State> state_;
};

}  // namespace

MessageReader::MessageReader(Encoding encoding, MessageLimits limits)
    : encoding_(encoding), limits_(limits), state_(std::make_shared<State>()) {
  auto configuration = nesting_up_to(static_cast<int>(limits.max_depth));
  configuration->setMaxMessageSize(std::numeric_limits<int>::max());
  source_ = std::make_shared<Source>(configuration);
  make_protocol();
}

MessageReader::~MessageReader() = default;

void MessageReader::make_protocol() {
  switch (encoding_) {
    case Encoding::kBinary:
      protocol_ =
          std::make_shared<BoundedProtocol<TBinaryProtocolT<TBufferBase>, Source, State>>(source_, state_);
      break;
    case Encoding::kCompact:
      protocol_ =
          std::make_shared<BoundedProtocol<TCompactProtocolT<TBufferBase>, Source, State>>(source_, state_);
      break;
  }
}

const std::shared_ptr<ThriftProtocol>& MessageReader::begin(Bytes content) {
  // The compact protocol keeps a stack of structs, and a message that could not be read leaves it in the
  // middle.
  if (encoding_ == Encoding::kCompact) make_protocol();
  source_->begin(content);
  state_->refusal.clear();
  state_->max_elements = limits_.max_elements;
  state_->elements_left = limits_.max_elements;
  return protocol_;
}

const std::string& MessageReader::refusal() const {
  return state_->refusal;
}

// A frame that grows as it is written; its first four bytes are kept free for the length.
class MessageWriter::Sink : public TBufferBase {
 public:
  // Nesting is limited where a value comes in; there is no reason to refuse it on its way out.
  Sink() : TBufferBase(nesting_up_to(std::numeric_limits<int>::max())), bytes_(kFirstWriteBytes) {}

  void reset() {
    if (bytes_.size() > kKeptWriteBytes) {
      bytes_.resize(kFirstWriteBytes);
      bytes_.shrink_to_fit();
    }
    use_from(kFrameLengthBytes);
  }

  [[nodiscard]] Bytes frame() {
    const auto size = static_cast<std::size_t>(wBase_ - bytes_.data());
    const auto length = frame_length(static_cast<std::uint32_t>(size - kFrameLengthBytes));
    std::ranges::copy(length, bytes_.begin());
    return Bytes(bytes_).first(size);
  }

  bool isOpen() const override { return true; }

 protected:
  std::uint32_t readSlow(std::uint8_t*, std::uint32_t) override {
    throw TTransportException(TTransportException::NOT_OPEN, "a message that is being written is not read");
  }
  const std::uint8_t* borrowSlow(std::uint8_t*, std::uint32_t*) override { return nullptr; }

  void writeSlow(const std::uint8_t* from, std::uint32_t count) override {
    const auto used = static_cast<std::size_t>(wBase_ - bytes_.data());
    if (used + count > kMaxWrittenBytes)
      throw TTransportException(TTransportException::BAD_ARGS, "the message is longer than 2 GiB");
    bytes_.resize(std::max(used + count, bytes_.size() * 2));
    std::memcpy(bytes_.data() + used, from, count);
    use_from(used + count);
  }

 private:
  void use_from(std::size_t used) {
    setWriteBuffer(bytes_.data() + used, static_cast<std::uint32_t>(bytes_.size() - used));
  }

  std::vector<std::uint8_t> bytes_;
};

MessageWriter::MessageWriter(Encoding encoding) : encoding_(encoding), sink_(std::make_shared<Sink>()) {
  reset();
}

MessageWriter::~MessageWriter() = default;

void MessageWriter::reset() {
  sink_->reset();
  switch (encoding_) {
    case Encoding::kBinary:
      if (protocol_ == nullptr) protocol_ = std::make_shared<TBinaryProtocolT<TBufferBase>>(sink_);
      break;
    case Encoding::kCompact:
      // It keeps a stack of structs, and a struct that could not be written leaves it in the middle.
      protocol_ = std::make_shared<TCompactProtocolT<TBufferBase>>(sink_);
      break;
  }
}

Bytes MessageWriter::frame() {
  return sink_->frame();
}

void write_application_exception(MessageWriter& writer, std::string_view method, std::int32_t seqid, int type,
                                 const std::string& message) {
  using apache::thrift::TApplicationException;
  const TApplicationException exception(static_cast<TApplicationException::TApplicationExceptionType>(type),
                                        message);
  auto& out = *writer.protocol();
  out.writeMessageBegin(std::string(method), apache::thrift::protocol::T_EXCEPTION, seqid);
  exception.write(&out);
  out.writeMessageEnd();
}

}  // namespace troth::rpc
